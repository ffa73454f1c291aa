import { TlvError, TlvType, chapter, tlvTypeName } from '../../harness/suite.js';

export default chapter('pair-setup.errors', ({ watch }) => [
  watch('PS-ERR-01', 'pairing-reply', ({ tlv: message }, { expect, violate, warn }) => {
    if (!message!.has(TlvType.Error)) return;
    expect(message!.has(TlvType.State), 'an error reply has a State').to.equal(true);
    for (const { type } of message!.items) {
      if (type === TlvType.State || type === TlvType.Error) continue;
      const name = tlvTypeName(type);
      // Backoff is the one error that comes with a delay.
      if (type === TlvType.RetryDelay && message!.error === TlvError.Backoff) continue;
      const key: number[] = [
        TlvType.Salt,
        TlvType.PublicKey,
        TlvType.Proof,
        TlvType.Identifier,
        TlvType.EncryptedData,
      ];
      if (key.includes(type)) violate(`an error reply carries ${name} beside its Error`);
      warn(`an error reply carries ${name} too`);
    }
  }),

  watch('PS-ERR-05', 'pairing-reply', ({ tlv: message }, { expect, warn }) => {
    const { error } = message!;
    if (error === undefined) return;
    expect(error, 'Error').to.be.within(1, 7);
    if (error === TlvError.Backoff) warn('Error=3(Backoff) is obsolete');
  }),
]);
