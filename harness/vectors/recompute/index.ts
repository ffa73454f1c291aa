/**
 * What every field of a case has to be, computed from its inputs by the second implementation. An input is whatever no
 * other field decides (secrets, keys, plaintexts): to change one changes what is computed from it.
 */
import type { Fields } from '../format.js';
import { nonceOf, open, readTlv } from '../second.js';
import { aeadGroup, aeadLabel, frameStream, hkdfGroup, hkdfLabel } from './keys.js';
import { mfiGroup, mfiM4 } from './mfi.js';
import { errorReply, pairingsList, pairingsReply, pairingsRequest, statesOf } from './pairings.js';
import { setupCode, setupPayload } from './setup-code.js';
import { pairSetup } from './setup.js';
import { type Claims, type Recompute, T, hex, itemsOf, text, verdict } from './shared.js';
import { srpGroup, srpIllegalA, srpIllegalB, srpProof, srpSession } from './srp.js';
import { tlvCodec, tlvInteger } from './tlv.js';
import { split, transient, transientGroup } from './transient.js';
import { pairVerify } from './verify.js';

function recorded(test: Fields): Claims {
  const { items, defect } = readTlv(hex(test['body']));
  const sub = test['sub'] === undefined ? undefined : readTlv(hex(test['sub']));
  const sealed = items.find(({ type }) => type === T.EncryptedData)?.value;
  const { key, label } = test;
  const opened =
    key === undefined || label === undefined || sealed === undefined
      ? undefined
      : open(hex(key), nonceOf(text(label)), sealed);
  return {
    items: itemsOf(items),
    defect,
    sealed: sub === undefined ? undefined : sealed,
    ...(key !== undefined && { sub: opened ?? 'what the key and the label open' }),
    ...(key === undefined && { label: undefined }),
    ...(key !== undefined && label === undefined && { label: 'there, beside a key' }),
    subItems: sub && itemsOf(sub.items),
    subDefect: sub?.defect,
    result: verdict(defect !== undefined || sub?.defect !== undefined),
  };
}

/** What a group's own fields have to be. */
export const recomputeGroup: Readonly<Record<string, (group: Fields) => Claims>> = {
  SrpSession: srpGroup,
  HkdfLabel: hkdfGroup,
  AeadLabel: aeadGroup,
  Transient: transientGroup,
  MfiM4: mfiGroup,
  ErrorReply: ({ endpoint }) => ({ requestStates: statesOf[text(endpoint)] }),
};

/** What a case's fields have to be, by the type of its group. */
export const recompute: Readonly<Record<string, Recompute>> = {
  TlvCodec: tlvCodec,
  TlvInteger: tlvInteger,
  SetupCode: setupCode,
  SetupPayload: setupPayload,
  SrpSession: srpSession,
  SrpIllegalA: srpIllegalA,
  SrpIllegalB: srpIllegalB,
  SrpProof: srpProof,
  HkdfLabel: hkdfLabel,
  AeadLabel: aeadLabel,
  PairSetup: pairSetup,
  PairVerify: pairVerify,
  PairingsRequest: pairingsRequest,
  PairingsList: pairingsList,
  PairingsReply: pairingsReply,
  FrameStream: frameStream,
  Transient: transient,
  Split: split,
  MfiM4: mfiM4,
  ErrorReply: errorReply,
  Recorded: recorded,
};
