import {
  type Bytes,
  Length,
  Method,
  Permission,
  TlvError,
  type TlvItem,
  TlvType,
  concat,
  decodeTlv,
  equal,
  errorReply,
  separator,
  srpConventions,
  text,
  tlv,
  utf8,
} from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { controlKeys } from '../crypto.js';
import { airplayDress, mfiDress } from '../dress/dress.js';
import { mfiChip } from '../dress/mfi-chip.js';
import { MAX_IDENTIFIER, type Pairing } from '../facts.js';
import type { Reply } from '../messages/reply.js';
import { single } from '../messages/request.js';
import { pieces } from '../session/frames.js';
import { cloneVariants } from './clones.js';
import type { Fault } from './fault.js';
import { fails } from './items.js';
import { router } from './router.js';

/** Another way to be right: whole accessories like it are sold, and no check may fail on them. */
function benign(name: string, story: string, change: Fault['change']): Fault {
  return { name, breaks: [], story, change };
}

/** A receiver of AirPlay that is right in another way. */
function receiver(
  name: string,
  story: string,
  change: Fault['change'],
  about: Pick<Fault, 'dress' | 'concerns'> = {},
): Fault {
  return { ...benign(name, story, change), dress: airplayDress, ...about };
}

/** What the ways to begin Pair Setup may touch. */
const setup = /^(PS-M[1356]|PV-M[13]|TRANSIENT|SPLIT|AIRPLAY|MFI)/;

const dueState: Readonly<Record<string, number>> = {
  'setup-m2': 2,
  'setup-m4': 4,
  'setup-m6': 6,
  'verify-m2': 2,
  'verify-m4': 4,
};

/** State of the reply to a message, also to one that is no message of the protocol. */
function stateDue({ step, request }: Reply): number {
  return dueState[step ?? ''] ?? (request.state === 3 || request.state === 5 ? request.state + 1 : 2);
}

function contention(how: Behaviour['setupContention']): Fault['change'] {
  return () => ({ setupContention: how });
}

/** The entries of a list one by one: the items between its State and its separators. */
function entriesOf(items: readonly TlvItem[]): TlvItem[][] {
  const entries: TlvItem[][] = [[]];
  for (const item of items.slice(1))
    if (item.type === TlvType.Separator) entries.push([]);
    else entries.at(-1)!.push(item);
  return entries;
}

function isStored(id: Bytes, pairings: readonly Pairing[]): boolean {
  return pairings.some((pairing) => equal(pairing.id, id));
}

/** Accessories that differ from the reference where the sources allow it. */
export const variants: readonly Fault[] = [
  router,
  benign(
    'reset-keeps-the-id',
    'the id is that of the network card: a factory reset makes new keys under it',
    () => ({
      identityAfter: (when, own, draw) => (when === 'factory-reset' ? { ...draw(), id: own.id } : own),
    }),
  ),
  benign(
    'parallel-setups',
    'every connection may run a Pair Setup of its own; the first M5 wins',
    contention('parallel'),
  ),
  benign(
    'setup-take-over',
    'a second M1 takes Pair Setup over, the first controller has to begin anew',
    contention('take-over'),
  ),
  benign('static-salt', 'salt and verifier are made once, in the factory (erratum E06)', () => ({
    drawSalt: () => new Uint8Array(Length.salt).fill(0x5a),
  })),
  benign('strict-400', 'every refusal is HTTP 400, with State and Error in its body (erratum E21)', (ok) => ({
    status: (reply) => (fails(reply) ? 400 : ok.status(reply)),
    sendsBody: (reply, status) => status === 400 || ok.sendsBody(reply, status),
  })),
  benign('tlv-errors', 'what is malformed or out of sequence gets HTTP 200 with State and Error', (ok) => ({
    status: (reply) => (reply.status === 400 ? 200 : ok.status(reply)),
    beforeSending: (reply) =>
      reply.status === 400 ? errorReply(stateDue(reply), TlvError.Unknown) : ok.beforeSending(reply),
  })),
  benign(
    'padded-session',
    'S and B enter the hashes with their leading zero bytes (errata E04, E05)',
    () => ({ convention: srpConventions['padded-session'] }),
  ),
  benign('closes-after-refusal', 'a plain connection ends behind every refusal', (ok) => ({
    closesAfter: (response) => (response.refused && !response.secured) || ok.closesAfter(response),
  })),
  benign(
    'closes-behind-m6',
    'the connection of Pair Setup ends with M6, Pair Verify comes on a new one (PS-M5-03)',
    (ok) => ({ closesAfter: (response) => response.step === 'setup-m6' || ok.closesAfter(response) }),
  ),
  benign('patient-setup', 'after a wrong proof or a broken M5 the exchange goes on', () => ({
    keepsExchangeAfter: (event) => event !== 'refused-m1',
  })),
  benign('items-reversed', 'items of Pair Setup and Pair Verify are written last one first', (ok) => ({
    beforeSending: (reply) =>
      reply.step !== undefined && reply.step in dueState
        ? [...ok.beforeSending(reply)].reverse()
        : ok.beforeSending(reply),
    beforeSealing: (step, items) => [...ok.beforeSealing(step, items)].reverse(),
  })),
  benign('locks-in-m4', 'the hundredth wrong proof is itself answered with MaxTries (erratum E14)', (ok) => ({
    wrongProofError: (failedAttempts) =>
      failedAttempts >= 100 ? TlvError.MaxTries : ok.wrongProofError(failedAttempts),
  })),
  benign('verify-needs-pairing', 'Pair Verify of an unpaired accessory is refused in M2', (ok) => ({
    refusesVerify: (request) => (request.paired ? ok.refusesVerify(request) : TlvError.Authentication),
  })),
  benign('verify-closes-after-failure', 'a refused Pair Verify M3 ends the connection', (ok) => ({
    closesAfter: (response) =>
      (response.step === 'verify-m4' && response.refused) || ok.closesAfter(response),
  })),
  benign('patient-verify', 'behind a refused Pair Verify M3 the exchange goes on', () => ({
    keepsVerifyAfterFailure: true,
  })),
  benign('one-session-per-controller', 'a new session of a controller ends its older one', () => ({
    secondSession: 'ends-older',
  })),
  benign('re-keys-in-session', 'Pair Verify inside a session changes its keys', () => ({
    verifyInSession: 're-keys',
  })),
  benign(
    're-keys-with-m4',
    'Pair Verify inside a session changes its keys, and M4 is under the new ones',
    () => ({
      verifyInSession: 're-keys',
      sealsVerifyM4: ({ inSession }) => inSession,
    }),
  ),
  benign('no-method-in-verify', 'Pair Verify M1 with a Method is malformed', (ok) => ({
    isMalformed: (request) =>
      ok.isMalformed(request) || (request.endpoint === 'pair-verify' && request.message.has(TlvType.Method)),
  })),
  benign('low-order-keys-taken', 'an X25519 secret of zero bytes is as good as another one', (ok) => ({
    sharedSecret: (secret, publicKey) => ok.sharedSecret(secret, publicKey) ?? new Uint8Array(32),
  })),

  benign('chunked-replies', 'JSON goes out in chunks, without Content-Length', (ok) => ({
    write(message) {
      const { startLine, headers, body } = message;
      if (body === undefined || !headers.some(([, value]) => value.includes('json')))
        return ok.write(message);
      const chunks = pieces(body, 200).map((piece) =>
        concat(utf8(`${piece.length.toString(16)}\r\n`), piece, utf8('\r\n')),
      );
      const chunked = [...headers, ['Transfer-Encoding', 'chunked'] as const];
      const head = ok.write({ startLine, headers: chunked, body: undefined });
      return concat(head, ...chunks, utf8('0\r\n\r\n'));
    },
  })),
  benign('lower-case-headers', 'header names are written in lower case', (ok) => ({
    write({ startLine, headers, body }) {
      const length: [string, string][] = body === undefined ? [] : [['Content-Length', String(body.length)]];
      const lower = [...headers, ...length].map(([name, value]) => [name.toLowerCase(), value] as const);
      return ok.write({ startLine, headers: lower, body });
    },
  })),
  benign('sorted-list', 'the list comes in the order of the identifiers (PAIRINGS-02)', (ok) => ({
    beforeSending(reply) {
      const items = ok.beforeSending(reply);
      const [state] = items;
      if (reply.step !== 'pairings-list' || state === undefined || fails(reply)) return items;
      const name = (entry: readonly TlvItem[]): string =>
        text(entry.find(({ type }) => type === TlvType.Identifier)!.value);
      const sorted = entriesOf(items).sort((a, b) => (name(a) < name(b) ? -1 : 1));
      return [state, ...sorted.flatMap((entry, i) => (i === 0 ? entry : [separator(), ...entry]))];
    },
  })),
  benign(
    'removed-sessions-end-with-their-next-request',
    'the session of a removed controller stays open until it asks for something (PAIRINGS-13)',
    (ok) => ({
      endsSession: () => false,
      admits: (request) => (request.departed ? 'close' : ok.admits(request)),
    }),
  ),
  benign(
    'removed-sessions-are-unauthorised',
    'the session of a removed controller stays open, and gets HTTP 470 (PAIRINGS-13)',
    () => ({
      endsSession: () => false,
      servesAs: ({ verified, pairings }) =>
        verified !== undefined && isStored(verified.id, pairings) ? verified : undefined,
    }),
  ),
  benign('unauthorised-401', 'what needs a verified session gets HTTP 401 without one (HTTP-05)', () => ({
    unauthorisedStatus: 401,
  })),
  benign('unauthorised-400', 'what needs a verified session gets HTTP 400 without one (HTTP-05)', () => ({
    unauthorisedStatus: 400,
  })),
  benign('room-for-everybody', 'there is no end to the table of pairings (PAIRINGS-09)', (ok) => ({
    refusesAdd: (request) => (request.existing === undefined ? undefined : ok.refusesAdd(request)),
  })),
  benign(
    'new-rights-new-session',
    'whoever gets other permissions has to verify again (PAIRINGS-05, PAIRINGS-22)',
    (ok) => ({
      endsSession(session) {
        const { requester, pairings } = session;
        const now = pairings.find(({ id }) => equal(id, requester.id));
        return (
          ok.endsSession(session) ||
          (now !== undefined &&
            requester.permissions !== undefined &&
            now.permissions !== requester.permissions)
        );
      },
    }),
  ),
  benign(
    'promoted-by-a-new-session',
    'what a controller is given counts from its next session on, what is taken from it at once (PAIRINGS-05)',
    (ok) => ({
      isAdmin: (pairing, requester, step) =>
        ok.isAdmin(pairing, requester, step) &&
        (requester.permissions === undefined || (requester.permissions & Permission.Admin) !== 0),
    }),
  ),
  benign('uuids-only', 'Add takes identifiers of 36 bytes and no others (erratum E19)', (ok) => ({
    additionFrom(message) {
      const wanted = ok.additionFrom(message);
      return wanted?.id.length === 36 ? wanted : undefined;
    },
  })),
  benign(
    'odd-permissions-stored',
    'Permissions are kept as they come, and bit 0 decides (PAIRINGS-08)',
    () => ({
      additionFrom(message) {
        const id = single(message, TlvType.Identifier, 1, MAX_IDENTIFIER);
        const ltpk = single(message, TlvType.PublicKey, Length.ltpk);
        const permissions = single(message, TlvType.Permissions, 1)?.[0];
        if (id === undefined || ltpk === undefined || permissions === undefined) return undefined;
        return { id, ltpk, permissions };
      },
    }),
  ),
  benign('last-admin-stays', 'the last admin is refused to become a plain user (PAIRINGS-21)', (ok) => ({
    refusesAdd(request) {
      const { pairings, existing, wanted } = request;
      const admins = pairings.filter(({ permissions }) => (permissions & Permission.Admin) !== 0);
      const last = admins.length === 1 && admins[0] === existing;
      return last && (wanted.permissions & Permission.Admin) === 0
        ? TlvError.Unknown
        : ok.refusesAdd(request);
    },
  })),
  benign('large-frames-accepted', 'frames of up to 65 535 bytes are opened (SESS-10)', () => ({
    takesFrame: () => true,
  })),
  benign('frames-of-512', 'replies are cut into frames of 512 bytes', () => ({
    cutFrames: (message) => pieces(message, 512),
  })),
  benign('header-and-body-in-own-frames', 'headers are one frame, the body begins another', (ok) => ({
    cutFrames(message) {
      const end = text(message).indexOf('\r\n\r\n') + 4;
      return [message.subarray(0, end), message.subarray(end)].flatMap((part) => ok.cutFrames(part));
    },
  })),
  benign('closes-idle-sessions', 'a session that was silent for half a minute is closed (SESS-24)', () => ({
    afterIdle: (milliseconds) => (milliseconds > 30_000 ? 'close' : 'serve'),
  })),
  benign(
    'closes-idle-plain-connections',
    'a connection without a session that was silent for a minute is closed at its next request',
    (ok) => ({
      admits: (request) => (!request.secured && request.idle >= 60_000 ? 'close' : ok.admits(request)),
    }),
  ),
  benign(
    'announced-anew-with-each-change',
    'a change of the pairings takes the service back, and announces it anew at once (MDNS-10)',
    () => ({
      says: ({ cause }) =>
        cause === 'pairings'
          ? [
              { delay: 0, what: 'goodbye' },
              { delay: 50, what: 'now' },
            ]
          : [],
    }),
  ),
  benign('twelve-connections', 'there is room for twelve connections; the next is reset', (ok) => ({
    takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.open < 12,
  })),
  {
    ...benign(
      'resets-while-it-starts',
      'behind a restart connections are reset for a second, until it is ready (IDENT-08)',
      (ok) => ({
        takesConnection: (arrival) =>
          ok.takesConnection(arrival) && !(arrival.starting && arrival.sinceFirst < 1_000),
      }),
    ),
    // A clone is started with pairings, and is there from the beginning.
    concerns: /^(IDENT|MDNS|PV-M[23])/,
  },
  benign('identity-renewed', 'with the last removal id and keys are made anew (erratum E13)', (ok) => ({
    identityAfter: (occasion, own, draw) =>
      occasion === 'last-removal' ? draw() : ok.identityAfter(occasion, own, draw),
  })),
  benign(
    'without-transient',
    'ff says that there is no transient Pair Setup, and Flags are passed over',
    (ok) => ({
      setupMode: () => ({ transient: false, split: false }),
      announces(facts) {
        const { txt, ...place } = ok.announces(facts);
        return { ...place, txt: txt.map(([key, value]) => [key, key === 'ff' ? '0' : value] as const) };
      },
    }),
  ),
  benign(
    'transient-control-names',
    'the keys behind a transient M4 go by the names of a verified session (seed 001, erratum E08)',
    () => ({ transientKeys: controlKeys }),
  ),
  benign('split-needs-transient', 'a split Pair Setup without a verifier is refused (SPLIT-03)', () => ({
    refusesSplit: ({ transient }) => (transient ? undefined : TlvError.Authentication),
  })),
  receiver('airplay-receiver', 'an AirPlay receiver with the default code (seed 001)', () => ({})),
  receiver(
    'airplay-without-administration',
    'a receiver that lets in whoever knows the code, and administers nobody: HTTP 404',
    (ok) => ({
      route: (path) => (ok.route(path) === '/pairings' ? '/unknown' : ok.route(path)),
    }),
  ),
  receiver(
    'airplay-without-info',
    'a receiver that tells nothing of itself: /info is HTTP 404, OPTIONS is answered',
    (ok) => ({ route: (path) => (path === '/info' ? '/unknown' : ok.route(path)) }),
    { concerns: /^(PV-M[34]|PV-STATE|SESS|TRANSIENT|AIRPLAY)/ },
  ),
  receiver(
    'airplay-admits-admins',
    'a receiver whose owner has it admit admins alone: plain users are known, and cannot verify',
    (ok) => ({
      admitsController: (pairing) => ok.isAdmin(pairing, { id: pairing.id }),
    }),
    { concerns: /^(PV-M[34]|PV-STATE|PS-ERR|SESS|PAIRINGS|IDENT|SEC)/ },
  ),
  receiver(
    'airplay-media-types',
    'a receiver that calls what it answers in pairing a binary property list',
    () => ({ contentType: () => 'application/x-apple-binary-plist' }),
    { concerns: /^(PS-M[135]|PV-M[13]|PAIRINGS-0|TRANSIENT|AIRPLAY)/ },
  ),
  receiver(
    'airplay-without-bit-38',
    'a receiver whose features set bit 48 and not bit 38, low word in front in one number',
    (ok) => ({
      announces(facts) {
        const { txt, ...place } = ok.announces(facts);
        const own = txt.map(([key, value]) => [key, key === 'features' ? '0x10800405C4A00' : value] as const);
        return { ...place, txt: own };
      },
    }),
    { concerns: /^AIRPLAY/ },
  ),
  receiver(
    'airplay-passes-over-method-1',
    'a receiver without a coprocessor that announces none, and does not answer PairSetupWithAuth',
    (ok) => ({
      admits(request) {
        const { path, body } = request.message;
        const m1 = path === '/pair-setup' ? decodeTlv(body) : undefined;
        const asks = m1?.state === 1 && m1.get(TlvType.Method)?.[0] === Method.PairSetupWithAuth;
        return asks ? 'silence' : ok.admits(request);
      },
    }),
    { concerns: setup },
  ),
  receiver(
    'airplay-downgrades-method-1',
    'a receiver without a coprocessor that reads PairSetupWithAuth as PairSetup',
    () => ({ setupMethods: [Method.PairSetup, Method.PairSetupWithAuth] }),
    { concerns: setup },
  ),
  receiver(
    'airplay-one-byte-flags',
    'a receiver that reads Flags of one byte and no others',
    (ok) => ({
      setupMode: ({ method, flags }) =>
        ok.setupMode({ method, flags: flags?.length === 1 ? flags : undefined }),
    }),
    { concerns: setup },
  ),
  receiver(
    'airplay-minimal-integers',
    'a receiver that drops the leading zero bytes of B and of the Salt, which begins with one',
    () => ({ drawSalt: (random) => random.bytes(Length.salt - 1) }),
    { concerns: setup },
  ),
  receiver(
    'airplay-470',
    'a receiver that refuses by HTTP 470 and an empty body',
    (ok) => ({
      status: (reply) => (reply.status === 400 || fails(reply) ? 470 : ok.status(reply)),
      sendsBody: (_reply, status) => status === 200,
    }),
    { concerns: /^(PS|PV-M[13]|PAIRINGS-0|TRANSIENT|AIRPLAY)/ },
  ),
  receiver('airplay-pin', 'a receiver that shows a PIN, and takes no transient Pair Setup', () => ({}), {
    dress: { kind: 'airplay', secret: 'pin' },
    concerns: setup,
  }),
  receiver(
    'airplay-mfi-encrypted-data-first',
    'a receiver with an authentication coprocessor, EncryptedData first in M4 and M6',
    (ok) => ({
      beforeSending: (reply) =>
        [...ok.beforeSending(reply)].sort(
          (a, b) => Number(b.type === TlvType.EncryptedData) - Number(a.type === TlvType.EncryptedData),
        ),
    }),
    { dress: { kind: 'airplay', mfi: 'rsa' }, concerns: setup },
  ),
  {
    ...benign(
      'mfi-accessory',
      'an accessory with the RSA coprocessor, its certificate in PKCS#7',
      () => ({}),
    ),
    dress: mfiDress,
    concerns: setup,
  },
  {
    ...benign(
      'mfi-p256-bare-certificate',
      'an accessory with the P-256 coprocessor, its certificate as it is and before the signature',
      (ok) => ({
        authentication(exchange) {
          const items = ok.authentication(exchange);
          const signature = items?.find(({ type }) => type === TlvType.Signature);
          if (signature === undefined) return undefined;
          const more = tlv(0x7f, Uint8Array.of(1, 2, 3));
          return [tlv(TlvType.Certificate, mfiChip('ecdsa').certificate), signature, more];
        },
      }),
    ),
    dress: { kind: 'hap', mfi: 'ecdsa' },
    concerns: /^(PS-M1-1|MFI|TRANSIENT-0[18])/,
  },
  benign(
    'announces-more',
    'keys in capitals, an id in small letters, keys of its own, c# that is not 1',
    (ok) => ({
      announces(facts) {
        const { txt, ...place } = ok.announces(facts);
        const own = txt.map(([key, value]): [string, string] => {
          const other = key === 'id' ? value.toLowerCase() : key === 'c#' ? '70000' : value;
          return [key.toUpperCase(), other];
        });
        return { ...place, txt: [...own, ['vendor', 'someone'], ['flag', '']] };
      },
    }),
  ),
  benign('announces-the-least', 'keys with a default are left out, pv and ff', (ok) => ({
    announces(facts) {
      const { txt, ...place } = ok.announces(facts);
      return { ...place, txt: txt.filter(([key]) => !['ff', 'pv', 'sh'].includes(key)) };
    },
  })),
  ...cloneVariants,
];
