import {
  type Bytes,
  Length,
  Method,
  Permission,
  TlvError,
  type TlvMessage,
  TlvType,
  concat,
  counterNonce,
  equal,
  labelNonce,
  lowOrderCurveKeys,
  signedInfo,
  stateOnly,
  text,
  tlv,
  utf8,
} from '../../../protocol/index.js';
import { deriveKey, open, openIgnoringTag, sha512 } from '../../crypto.js';
import { Halt, type Reply, type VerifyExchange } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';
import { fails, succeeds, withItem } from '../../faults/items.js';

const zeros = new Uint8Array(32);

/** What an accessory without an exchange goes on with when it does not look. */
function unmade(key: Bytes): VerifyExchange {
  return { own: zeros, controller: zeros, shared: zeros, key };
}

/** Pair Verify that takes this key for the one of an exchange that never began. */
function takesM3Under(key: Bytes): Fault['change'] {
  return (ok) => ({
    exchangesForM3(held) {
      const exchanges = ok.exchangesForM3(held);
      return exchanges.length > 0 ? exchanges : [unmade(key)];
    },
  });
}

/** A refused M3 that did not come to its signature, or to a pairing. */
function refusedEarly(reply: Reply): boolean {
  return reply.step === 'verify-m4' && fails(reply) && reply.known === undefined;
}

/** State of a Pair Verify message by what else is in it. */
function stateByItems(message: TlvMessage): number {
  return message.has(TlvType.EncryptedData) ? 3 : 1;
}

const core: readonly Fault[] = [
  fault(
    'verify-m1-unanswered',
    { breaks: ['PV-M1-01'], story: 'the handler of Pair Verify M1 never returns' },
    (ok) => ({
      answers: (reply) => reply.step !== 'verify-m2' && ok.answers(reply),
    }),
  ),
  fault(
    'verify-key-31-bytes',
    { breaks: ['PV-M1-01'], story: 'the ephemeral key loses its last byte on the way out' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m2'
          ? ok
              .beforeSending(reply)
              .map((item) =>
                item.type === TlvType.PublicKey
                  ? tlv(item.type, item.value.subarray(0, Length.curveKey - 1))
                  : item,
              )
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'verify-signs-other-order',
    { breaks: ['PV-M2-01'], story: 'the controller’s ephemeral key is signed before our own' },
    (ok) => ({
      signedInfo: (parts) =>
        parts.step === 'verify-m2' ? signedInfo(parts.last, parts.id, parts.first) : ok.signedInfo(parts),
    }),
  ),
  fault(
    'verify-signs-with-new-key',
    { breaks: ['PV-M2-01'], fieldBug: 102, story: 'the key pair is made anew where it should be loaded' },
    (ok) => ({
      signingKey: (step, ltsk, random) =>
        step === 'verify-m2' ? random.bytes(Length.ltsk) : ok.signingKey(step, ltsk, random),
    }),
  ),
  fault(
    'verify-sends-other-id',
    {
      breaks: ['PV-M2-01'],
      story: 'Pair Verify writes the accessory id in lower case, Pair Setup in upper case',
    },
    (ok) => ({
      ownIdentifier: (step, id) =>
        step === 'verify-m2' ? utf8(text(id).toLowerCase()) : ok.ownIdentifier(step, id),
    }),
  ),
  fault(
    'verify-m4-sealed',
    { breaks: ['PV-M3-01'], fieldBug: 80, story: 'encryption is switched on before M4 is written' },
    () => ({ sealsVerifyM4: () => true }),
  ),
  fault(
    'verify-m4-sealed-now-and-then',
    {
      breaks: ['PV-M3-01'],
      fieldBug: 80,
      story: 'one task writes M4 and another switches encryption on: once in a while the wrong one is first',
    },
    (ok) => {
      let sessions = 0;
      return {
        sessionKeys(shared) {
          sessions++;
          return ok.sessionKeys(shared);
        },
        sealsVerifyM4: () => sessions === 19,
      };
    },
  ),
  fault(
    'request-right-behind-m4-lost',
    {
      breaks: ['PV-M3-01'],
      story:
        'what comes before the session is registered finds none: once in a while the first request is dropped',
    },
    (ok) => {
      let sessions = 0;
      let first = false;
      return {
        sessionKeys(shared) {
          first = ++sessions === 19;
          return ok.sessionKeys(shared);
        },
        admits(request) {
          const lost = first;
          first = false;
          return lost ? 'silence' : ok.admits(request);
        },
      };
    },
  ),
  fault(
    'verify-m3-unanswered',
    { breaks: ['PV-M3-01'], story: 'the handler of Pair Verify M3 never returns' },
    (ok) => ({
      answers: (reply) => reply.step !== 'verify-m4' && ok.answers(reply),
    }),
  ),
  fault(
    'session-keys-swapped',
    { breaks: ['PV-M3-01'], story: 'Read and Write are taken from the accessory’s point of view' },
    (ok) => ({
      sessionKeys(shared) {
        const { toAccessory, toController } = ok.sessionKeys(shared);
        return { toAccessory: toController, toController: toAccessory };
      },
    }),
  ),
  fault(
    'unknown-controller-accepted',
    { breaks: ['PV-M3-02'], story: 'a lookup that finds nothing skips the signature check' },
    (ok) => ({ signatureHolds: (claim) => claim.ltpk === undefined || ok.signatureHolds(claim) }),
  ),
  fault(
    'unknown-controller-http-400',
    { breaks: ['PV-M3-02'], fieldBug: 40, story: 'an unknown controller is treated as a malformed request' },
    (ok) => ({
      status: (reply) =>
        reply.step === 'verify-m4' && reply.known === false && !succeeds(reply) ? 400 : ok.status(reply),
    }),
  ),
  fault(
    'verify-signature-unchecked',
    { breaks: ['PV-M3-03'], fieldBug: 105, story: 'the signature of a known controller is never verified' },
    (ok) => ({
      signatureHolds: (claim) =>
        (claim.step === 'verify-m3' && claim.ltpk !== undefined) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'any-paired-key-verifies',
    {
      breaks: ['PV-M3-02', 'PV-M3-03'],
      story: 'the signature is tried with every stored key, and whose it was is not asked',
    },
    (ok) => ({
      signatureHolds: (claim) =>
        ok.signatureHolds(claim) ||
        (claim.step === 'verify-m3' &&
          claim.pairings.some(({ ltpk }) => ok.signatureHolds({ ...claim, ltpk }))),
    }),
  ),
  fault(
    'first-key-is-a-master-key',
    { breaks: ['PV-M3-03'], story: 'what the key does not verify is tried with that of the first pairing' },
    (ok) => ({
      signatureHolds: (claim) =>
        ok.signatureHolds(claim) ||
        (claim.step === 'verify-m3' &&
          claim.ltpk !== undefined &&
          ok.signatureHolds({ ...claim, ltpk: claim.pairings[0]?.ltpk })),
    }),
  ),
];

const ephemeralKeys: readonly Fault[] = [
  fault(
    'verify-key-made-in-the-factory',
    {
      breaks: ['PV-M2-02', 'PV-STATE-02'],
      story: 'the X25519 key pair is made once, beside the long-term one',
    },
    () => ({ drawEphemeral: () => new Uint8Array(Length.curveKey).fill(0x42) }),
  ),
  fault(
    'verify-key-of-the-connection',
    {
      breaks: ['PV-M2-02'],
      story: 'the X25519 key pair is made when the connection comes, not when M1 does',
    },
    (ok) => ({ drawEphemeral: (draw) => draw.previous ?? ok.drawEphemeral(draw) }),
  ),
  fault(
    'verify-keys-begin-anew',
    { breaks: ['PV-M2-02'], story: 'the generator of keys is seeded with a constant at every start' },
    () => ({ drawEphemeral: ({ drawn }) => sha512(utf8(`key ${drawn}`)).subarray(0, Length.curveKey) }),
  ),
  fault(
    'verify-key-never-filled',
    { breaks: ['PV-M2-02'], story: 'M2 is written before the key pair is made: 32 zero bytes' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m2'
          ? withItem(ok.beforeSending(reply), tlv(TlvType.PublicKey, zeros))
          : ok.beforeSending(reply),
    }),
  ),
];

const m1: readonly Fault[] = [
  fault(
    'short-verify-key-filled-up',
    {
      breaks: ['PV-M1-02'],
      story: 'a short key overwrites the beginning of the buffer, the rest is from before',
    },
    (ok) => ({
      curveKeyFrom(message) {
        const key = message.get(TlvType.PublicKey) ?? new Uint8Array(0);
        return key.length < Length.curveKey
          ? concat(key, new Uint8Array(Length.curveKey - key.length).fill(0x42))
          : ok.curveKeyFrom(message);
      },
    }),
  ),
  fault(
    'long-verify-key-cut',
    { breaks: ['PV-M1-02'], story: 'the first 32 bytes of the key are copied, however many there are' },
    (ok) => ({
      curveKeyFrom: (message) =>
        ok.curveKeyFrom(message) ??
        [message.get(TlvType.PublicKey)?.subarray(0, Length.curveKey)].find(
          (key) => key?.length === Length.curveKey,
        ),
    }),
  ),
  fault(
    'verify-method-unanswered',
    { breaks: ['PV-M1-03'], story: 'a Method sends M1 to a handler of its own that was never written' },
    (ok) => ({
      answers: (reply) =>
        !(reply.endpoint === 'pair-verify' && reply.request.has(TlvType.Method)) && ok.answers(reply),
    }),
  ),
  fault(
    'foreign-verify-method-unanswered',
    { breaks: ['PV-M1-03'], story: 'a Method that is no business of Pair Verify is dropped without a word' },
    (ok) => ({
      answers(reply) {
        const method = reply.request.get(TlvType.Method);
        const own = method === undefined || (method.length === 1 && method[0]! <= Method.PairVerify);
        return (reply.endpoint !== 'pair-verify' || own) && ok.answers(reply);
      },
    }),
  ),
  fault(
    'foreign-verify-method-gets-an-empty-200',
    {
      breaks: ['PV-M1-03'],
      story:
        'a Method that is no business of Pair Verify falls through to the end of the handler: HTTP 200 and nothing',
    },
    (ok) => {
      const isForeign = ({ endpoint, request }: Reply): boolean => {
        const method = request.get(TlvType.Method);
        return endpoint === 'pair-verify' && method !== undefined && method[0] !== Method.PairVerify;
      };
      return {
        status: (reply) => (isForeign(reply) ? 200 : ok.status(reply)),
        sendsBody: (reply, status) => !isForeign(reply) && ok.sendsBody(reply, status),
      };
    },
  ),
  fault(
    'nobody-is-everybody',
    {
      breaks: ['PV-M1-04'],
      story: 'with an empty list of pairings there is nothing to compare, and all is well',
    },
    (ok) => ({
      lookUp: (id, known) =>
        known.pairings.length === 0
          ? { id, ltpk: zeros, permissions: Permission.Admin }
          : ok.lookUp(id, known),
      signatureHolds: (claim) =>
        (claim.ltpk !== undefined && equal(claim.ltpk, zeros)) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'verify-state-by-items',
    { breaks: ['PV-M1-05', 'TLV-14'], story: 'M1 and M3 are told apart by their items, State is never read' },
    (ok) => ({
      stateOf: (request) =>
        request.endpoint === 'pair-verify' && request.message.defect === undefined
          ? stateByItems(request.message)
          : ok.stateOf(request),
    }),
  ),
  fault(
    'high-verify-state-stops-it',
    { breaks: ['PV-M1-05'], story: 'State is the index into a table of six handlers' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) && !(request.endpoint === 'pair-verify' && (request.message.state ?? 0) > 6),
    }),
  ),
  fault(
    'verify-m1-items-counted',
    { breaks: ['PV-M1-06'], story: 'M1 must have two items, no more' },
    (ok) => ({
      isMalformed: (request) =>
        ok.isMalformed(request) ||
        (request.endpoint === 'pair-verify' &&
          request.message.state === 1 &&
          request.message.items.length > 2),
    }),
  ),
  fault(
    'resumes-any-session',
    {
      breaks: ['RESUME-01'],
      story: 'Pair Resume over BLE is reachable over IP too, its tag is never checked',
    },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m2' && reply.request.get(TlvType.Method)?.[0] === Method.PairResume
          ? [
              ...stateOnly(2),
              tlv(TlvType.Method, Method.PairResume),
              tlv(TlvType.SessionID, reply.random.bytes(8)),
              tlv(TlvType.EncryptedData, reply.random.bytes(Length.tag)),
            ]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'low-order-key-stops-it',
    { breaks: ['SEC-02'], story: 'the library asserts that the X25519 secret is not zero' },
    (ok) => ({
      sharedSecret(secret, publicKey) {
        if (lowOrderCurveKeys.some((point) => equal(point, publicKey))) throw new Halt('a zero secret');
        return ok.sharedSecret(secret, publicKey);
      },
    }),
  ),
];

const m3: readonly Fault[] = [
  fault(
    'verify-m3-tag-unchecked',
    { breaks: ['PV-M3-04'], fieldBug: 78, story: 'M3 is decrypted, the result of the tag is not looked at' },
    (ok) => ({
      openSealed: (data) =>
        data.step === 'verify-m3' ? openIgnoringTag(data.key, data.nonce, data.sealed) : ok.openSealed(data),
    }),
  ),
  fault(
    'verify-m3-nonce-tried',
    { breaks: ['PV-M3-04'], story: 'every nonce a controller was ever seen with is tried in turn' },
    (ok) => ({
      openSealed: (data) =>
        [
          data.nonce,
          labelNonce('PV-Msg02'),
          labelNonce('PS-Msg05'),
          concat(utf8('PV-Msg03'), new Uint8Array(4)),
        ]
          .map((nonce) => ok.openSealed({ ...data, nonce }))
          .find((plain) => plain !== undefined),
    }),
  ),
  fault(
    'broken-verify-m3-granted',
    {
      breaks: ['PV-M3-04', 'PV-M3-05'],
      story: 'the result begins as success, and the branch for a broken M3 forgets to change it',
    },
    () => ({ refusesMalformedVerifyM3: false }),
  ),
  fault(
    'verify-m3-of-a-tag-stops-it',
    { breaks: ['PV-M3-04'], story: 'an allocation of no bytes is taken for the end of the memory' },
    (ok) => ({
      openSealed(data) {
        if (data.step === 'verify-m3' && data.sealed.length <= Length.tag) throw new Halt('out of memory');
        return ok.openSealed(data);
      },
    }),
  ),
  fault(
    'verify-without-signature-granted',
    { breaks: ['PV-M3-05'], story: 'a signature that is there is checked, one that is not is not' },
    (ok) => ({
      claimFrom(sub) {
        const id = sub.get(TlvType.Identifier);
        return id !== undefined && !sub.has(TlvType.Signature)
          ? { id, signature: new Uint8Array(0) }
          : ok.claimFrom(sub);
      },
      signatureHolds: (claim) =>
        (claim.ltpk !== undefined && claim.signature.length === 0) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'identifier-cut-at-36-bytes',
    {
      breaks: ['PV-M3-05', 'PV-M3-06'],
      story: 'the identifier is copied into 36 bytes, and what does not fit is left behind',
    },
    (ok) => ({
      claimFrom(sub) {
        const id = sub.get(TlvType.Identifier);
        const signature = sub.get(TlvType.Signature);
        return id !== undefined && id.length > 36 && signature !== undefined
          ? { id, signature }
          : ok.claimFrom(sub);
      },
      identifierAsStored: (id) => ok.identifierAsStored(id).subarray(0, 36),
    }),
  ),
  fault(
    'identifier-compared-in-the-length-sent',
    {
      breaks: ['PV-M3-05', 'PV-M3-06'],
      story: 'memcmp runs over the length that came: a beginning of a name is the name',
    },
    (ok) => ({
      claimFrom(sub) {
        const signature = sub.get(TlvType.Signature);
        const id = sub.get(TlvType.Identifier);
        return id?.length === 0 && signature !== undefined ? { id, signature } : ok.claimFrom(sub);
      },
      lookUp: (id, { pairings }) => pairings.find((pairing) => equal(pairing.id.subarray(0, id.length), id)),
    }),
  ),
  fault(
    'identifier-as-trimmed-text',
    { breaks: ['PV-M3-06'], story: 'blanks and NUL at the end of an identifier are taken for padding' },
    (ok) => ({
      identifierAsStored: (id) => utf8(text(ok.identifierAsStored(id)).replace(/[\s\0]+$/, '')),
    }),
  ),
  fault(
    'unknown-controller-unanswered',
    {
      breaks: ['PV-M3-02', 'PV-M3-06'],
      story: 'who is not in the list is not worth an answer',
    },
    (ok) => ({
      answers: (reply) => !(reply.step === 'verify-m4' && reply.known === false) && ok.answers(reply),
    }),
  ),
  fault(
    'session-keys-before-the-check',
    { breaks: ['PV-M3-07'], story: 'the keys of the session are installed before the signature is checked' },
    () => ({ securesFailedVerify: true }),
  ),
  fault(
    'claimed-controller-is-served',
    {
      breaks: ['PV-M3-07'],
      story: 'M3 notes the controller on the connection before it checks the signature',
    },
    (ok) => ({ servesAs: (request) => ok.servesAs(request) ?? request.claimed }),
  ),
  fault(
    'verify-m3-order-matters',
    { breaks: ['PV-M3-08'], story: 'the sub-TLV of M3 is parsed by position: Identifier comes first' },
    (ok) => ({
      claimFrom: (sub) => (sub.items[0]?.type === TlvType.Identifier ? ok.claimFrom(sub) : undefined),
    }),
  ),
  fault(
    'verify-m3-items-counted',
    { breaks: ['PV-M3-08'], story: 'the sub-TLV of M3 must have two items, no more' },
    (ok) => ({ claimFrom: (sub) => (sub.items.length === 2 ? ok.claimFrom(sub) : undefined) }),
  ),
  fault(
    'unknown-controller-has-another-error',
    { breaks: ['SEC-05'], story: 'who is not in the list gets Unknown, who cannot sign gets Authentication' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m4' && reply.known === false && fails(reply)
          ? withItem(ok.beforeSending(reply), tlv(TlvType.Error, TlvError.Unknown))
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'undecryptable-verify-m3-is-malformed',
    { breaks: ['SEC-05'], story: 'an M3 that does not open is HTTP 400, one that is not signed is an error' },
    (ok) => ({ status: (reply) => (refusedEarly(reply) ? 400 : ok.status(reply)) }),
  ),
];

const m4: readonly Fault[] = [
  fault(
    'verify-m4-names-a-session',
    { breaks: ['PV-M3-01', 'PV-M4-01'], story: 'the SessionID of BLE is written into M4 on IP too' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m4' && succeeds(reply)
          ? [...ok.beforeSending(reply), tlv(TlvType.SessionID, reply.random.bytes(8))]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'bytes-behind-m3-dropped',
    {
      breaks: ['PV-M4-01'],
      fieldBug: 79,
      story: 'the reader of plain requests has read ahead, and is thrown away at the switch',
    },
    () => ({ behindM3: 'dropped' }),
  ),
  fault(
    'bytes-behind-m3-read-as-http',
    {
      breaks: ['PV-M4-01'],
      fieldBug: 79,
      story: 'the reader of plain requests goes on with what it has read ahead',
    },
    () => ({ behindM3: 'answered-in-plaintext' }),
  ),
  fault(
    'first-eight-controllers-verify',
    { breaks: ['PV-M4-02'], story: 'sixteen pairings are stored, and eight of them loaded' },
    (ok) => ({ lookUp: (id, known) => ok.lookUp(id, { ...known, pairings: known.pairings.slice(0, 8) }) }),
  ),
  fault(
    'last-eight-controllers-verify',
    { breaks: ['PV-M4-02'], story: 'pairings are looked up in a cache of eight, and nowhere else' },
    (ok) => ({ lookUp: (id, known) => ok.lookUp(id, { ...known, pairings: known.pairings.slice(-8) }) }),
  ),
  fault(
    'rights-of-the-last-verified',
    { breaks: ['PV-M4-02'], story: 'the current controller is one variable for all sessions' },
    (ok) => ({
      servesAs: (request) => ok.servesAs(request) && request.lastVerified,
    }),
  ),
];

const states: readonly Fault[] = [
  fault(
    'verify-m3-under-a-zero-key',
    {
      breaks: ['PV-STATE-01'],
      story: 'the key of the exchange is zero until M1, and M3 does not ask for M1',
    },
    takesM3Under(zeros),
  ),
  fault(
    'verify-m3-under-a-zero-secret',
    { breaks: ['PV-STATE-01'], story: 'the secret is zero until M1, and the key is derived from it in M3' },
    takesM3Under(deriveKey('Pair-Verify-Encrypt', zeros)),
  ),
  fault(
    'verify-m3-under-an-empty-secret',
    { breaks: ['PV-STATE-01'], story: 'the secret is empty until M1, and the key is derived from it in M3' },
    takesM3Under(deriveKey('Pair-Verify-Encrypt', new Uint8Array(0))),
  ),
  fault(
    'verify-m3-without-m1-stops-it',
    { breaks: ['PV-STATE-01'], fieldBug: 48, story: 'the key derivation dies of a secret that is not there' },
    (ok) => ({
      answers(reply) {
        if (reply.step === 'verify-m4' && reply.after === 'nothing') throw new Halt('no secret');
        return ok.answers(reply);
      },
    }),
  ),
  fault(
    'verify-m3-finds-any-exchange',
    {
      breaks: ['PV-STATE-01', 'PV-STATE-02', 'PV-STATE-08'],
      story: 'M3 is tried with every exchange there was, on whatever connection',
    },
    (ok) => ({
      exchangesShared: 16,
      exchangesForM3: (held) => [...ok.exchangesForM3(held), ...held.anywhere],
    }),
  ),
  fault(
    'pair-verify-stays-in-plaintext',
    { breaks: ['PV-STATE-02'], story: 'bytes that begin like a Pair Verify never go through the decryption' },
    () => ({ takesAsPlaintext: (bytes) => text(bytes.subarray(0, 17)) === 'POST /pair-verify' }),
  ),
  fault(
    'first-m1-stays',
    {
      breaks: ['PV-STATE-03', 'PV-STATE-08'],
      story: 'a second M1 is answered, and the keys of the first one stay',
    },
    () => ({ exchangesForM3: ({ here }) => here.slice(-1) }),
  ),
  fault(
    'verify-keys-of-the-connection-stay',
    {
      breaks: ['PV-STATE-03', 'PV-STATE-08'],
      story:
        'M1 adds a pair of keys to the connection, M3 is tried with all of them, and a refused one ends none',
    },
    () => ({ keepsVerifyAfterFailure: true, exchangesForM3: ({ here }) => here }),
  ),
  fault(
    'verify-locked-by-a-failure',
    { breaks: ['PV-STATE-04'], story: 'the state machine has no way out of its error state' },
    (ok) => ({
      refusesVerify: (request) => (request.failedHere ? TlvError.Unavailable : ok.refusesVerify(request)),
    }),
  ),
  fault(
    'verify-m3-out-of-turn-unanswered',
    { breaks: ['PV-STATE-01', 'PV-STATE-04'], story: 'the switch over the states has no default branch' },
    (ok) => ({
      answers: (reply) => !(reply.step === 'verify-m4' && reply.after === 'nothing') && ok.answers(reply),
    }),
  ),
  fault(
    'verify-context-is-global',
    { breaks: ['PV-STATE-05'], story: 'the exchange is one static variable for all connections' },
    () => ({ exchangesShared: 1, exchangesForM3: ({ anywhere }) => anywhere }),
  ),
  fault(
    'second-session-refused',
    { breaks: ['PV-STATE-05'], story: 'a controller that is connected cannot be another one of that name' },
    () => ({ secondSession: 'refused' }),
  ),
  fault(
    'verify-in-session-drops-encryption',
    { breaks: ['PV-STATE-06'], story: 'M1 resets the encryption of the connection, its rights stay' },
    () => ({ verifyInSession: 'in-plaintext' }),
  ),
  fault(
    'verify-in-session-changes-one-key',
    { breaks: ['PV-STATE-06'], story: 'the new keys reach the reader of the session, not its writer' },
    () => ({
      verifyInSession: 're-keys',
      rekeyed: ({ former, fresh }) => ({ ...fresh, toController: former.toController }),
    }),
  ),
  fault(
    'old-keys-open-frames',
    { breaks: ['PV-STATE-06'], story: 'frames under the keys before are let in, for requests on their way' },
    (ok) => ({
      verifyInSession: 're-keys',
      openFrame(frame) {
        const { former, header, sealed, counter } = frame;
        const plaintext =
          former && open(former.keys.toAccessory, counterNonce(former.counter), sealed, header);
        return plaintext === undefined ? ok.openFrame(frame) : { plaintext, next: counter };
      },
    }),
  ),
  fault(
    'refused-setup-blocks-verify',
    { breaks: ['PV-STATE-07'], story: 'a refused Pair Setup leaves the connection in Pair Setup' },
    (ok) => ({
      refusesVerify: (request) => (request.setupRefusedHere ? TlvError.Busy : ok.refusesVerify(request)),
    }),
  ),
  fault(
    'other-request-ends-verify',
    { breaks: ['PV-STATE-07'], story: 'the context is cleared at the end of each request but M1' },
    () => ({ endsVerifyOnOtherRequest: true }),
  ),
];

export const pairVerifyFaults: readonly Fault[] = [...core, ...ephemeralKeys, ...m1, ...m3, ...m4, ...states];
