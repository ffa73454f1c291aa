import {
  type Bytes,
  TlvError,
  type TlvErrorName,
  type TlvMessage,
  TlvType,
  decodeTlv,
  hex,
  text,
  tlvErrorName,
} from '../protocol/index.js';
import { type HttpMessage, contentType } from '../wire/index.js';
import { type Profile, type Step, steps } from './profile.js';

/** What came of one request. Reply, close, reset and silence are different outcomes. */
export type Outcome = {
  /** Milliseconds from the last byte sent to the event. */
  readonly elapsed: number;
} & (
  | Reply
  | { readonly kind: 'close' | 'reset' | 'silence' }
  /** Bytes that are no answer: no HTTP, beyond the limits, or a frame that does not open. */
  | { readonly kind: 'garbage'; readonly what: string }
);

export interface Reply {
  readonly kind: 'reply';
  readonly http: HttpMessage;
  /** The body as TLV8; undefined when it is empty or declared as something else. */
  readonly tlv: TlvMessage | undefined;
  /** It came in frames that opened. */
  readonly sealed: boolean;
  /** The connection was secured when it came, so it should have been sealed. */
  readonly secured: boolean;
  readonly profile: Profile;
  /** Raw bytes asked for it: a check may have asked for a close, too. */
  readonly raw?: boolean;
}

/**
 * Whether a body is TLV8: by its media type, in this dress of the protocol and in careless ones. Receivers name it
 * wrongly or not at all, and answer /info by a binary plist: then it is what the path is for (`pairing`; undefined
 * where raw bytes asked), and an error page where it does not read as a message.
 */
export function isPairingBody(http: HttpMessage, profile: Profile, pairing?: boolean): boolean {
  if (http.body.length === 0) return false;
  const type = contentType(http);
  if (/tlv/.test(type)) return true;
  if (pairing === false) return false;
  if (/octet-stream/.test(type)) return true;
  if (type !== '' && !profile.responseTypes.includes(type) && !/binary-plist/.test(type)) return false;
  if (pairing === true && http.status < 400) return true;
  const message = decodeTlv(http.body);
  return message.defect === undefined && message.state !== undefined;
}

function bodyText(http: HttpMessage, tlv: TlvMessage | undefined): string {
  if (http.body.length === 0) return 'empty body';
  if (tlv !== undefined) {
    const bytes = http.body.length <= 24 ? `  [${hex(http.body).replace(/(..)(?!$)/g, '$1 ')}]` : '';
    return `${tlv.toString()}${bytes}`;
  }
  return `${contentType(http) || 'no Content-Type'}, ${http.body.length} bytes`;
}

/** An outcome in words, for `seen:` and the console. Text of the accessory in it is not escaped yet. */
export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'reply': {
      const plain = outcome.secured && !outcome.sealed ? ', in plaintext on a secured connection' : '';
      return `HTTP ${outcome.http.status}${plain}: ${bodyText(outcome.http, outcome.tlv)}`;
    }
    case 'close':
      return 'connection closed without an answer';
    case 'reset':
      return 'connection reset without an answer';
    case 'silence':
      return `silence: no answer within ${Math.round(outcome.elapsed)} ms, connection open`;
    case 'garbage':
      return `no valid answer: ${outcome.what}`;
  }
}

/** One acceptable (or unacceptable) outcome, as data: printed in reports, matched in judgements. */
export interface Matcher {
  readonly words: string;
  /** What kind of waiting it asks for. */
  readonly event: 'reply' | 'close' | 'silence';
  matches(outcome: Outcome): boolean;
  /** It takes an outcome in whatever form. */
  readonly wide?: true;
  /** Wider reading for `forbid`: what comes near enough to be the violation. */
  resembles?(outcome: Outcome): boolean;
}

function okReply(outcome: Outcome): outcome is Outcome & Reply {
  return outcome.kind === 'reply' && outcome.http.status === 200 && outcome.sealed === outcome.secured;
}

function pairingType(reply: Reply): boolean {
  return reply.profile.responseTypes.includes(contentType(reply.http));
}

/** The success of a step: HTTP 200, the pairing media type, its State, no Error, its items. */
export function success(step: Step): Matcher {
  const { state, items } = steps[step];
  return {
    words: `success: HTTP 200, State=${state}${items.map((name) => `, ${name}`).join('')}, no Error`,
    event: 'reply',
    matches: (outcome) =>
      okReply(outcome) &&
      pairingType(outcome) &&
      outcome.tlv !== undefined &&
      outcome.tlv.get(TlvType.State)?.[0] === state &&
      !outcome.tlv.has(TlvType.Error) &&
      items.every((name) => outcome.tlv!.has(TlvType[name])),
    // Any item of the success, or its State without an Error, is an advance, whatever else is odd about the reply.
    resembles: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.http.status < 300 &&
      outcome.tlv !== undefined &&
      (items.some((name) => outcome.tlv!.has(TlvType[name])) ||
        (outcome.tlv.state === state && !outcome.tlv.has(TlvType.Error))),
  };
}

/** M2 of an accessory that is paired, where this dress has none of that: whoever knows the code takes it over. */
export function takeOver(): Matcher {
  const m2 = success('setup-m2');
  return {
    words: 'M2 although the accessory is paired',
    event: 'reply',
    matches: (outcome) => outcome.kind === 'reply' && !outcome.profile.servesPaired && m2.resembles!(outcome),
  };
}

/** M2 of an accessory that is paired, where this dress allows it. */
export function servedWhilePaired(): Matcher {
  const m2 = success('setup-m2');
  return {
    words: 'M2, where Pair Setup is served at any time',
    event: 'reply',
    matches: (outcome) => outcome.kind === 'reply' && outcome.profile.servesPaired && m2.matches(outcome),
  };
}

/** A refusal as the protocol writes it: HTTP 200, exactly State and Error. Without a name any code 1 to 7. */
export function tlvError(state: number, name?: TlvErrorName): Matcher {
  const code = name === undefined ? undefined : TlvError[name];
  return {
    words: `HTTP 200, State=${state}, Error=${code === undefined ? '1…7' : `${code}(${tlvErrorName(code)})`} and nothing else`,
    event: 'reply',
    matches: (outcome) =>
      refusedByStatus(outcome) ||
      (okReply(outcome) &&
        pairingType(outcome) &&
        outcome.tlv !== undefined &&
        outcome.tlv.items.length === 2 &&
        outcome.tlv.state === state &&
        outcome.tlv.error !== undefined &&
        (code === undefined ? outcome.tlv.error >= 1 && outcome.tlv.error <= 7 : outcome.tlv.error === code)),
  };
}

/** An HTTP status that is a whole refusal in this dress, and nothing of a success beside it. */
function refusedByStatus(outcome: Outcome): boolean {
  return (
    outcome.kind === 'reply' &&
    outcome.profile.statusRefuses &&
    outcome.http.status >= 400 &&
    outcome.sealed === outcome.secured &&
    !(outcome.tlv && hasSuccessItem(outcome.tlv))
  );
}

/** The TLV error of a step with an HTTP status of its own: some controllers never read the body then (E21). */
export function misplacedError(state: number, name?: TlvErrorName): Matcher {
  const code = name === undefined ? undefined : TlvError[name];
  return {
    words: `State=${state}, Error=${code === undefined ? '1…7' : `${code}(${tlvErrorName(code)})`} with HTTP 4xx or 5xx`,
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.http.status >= 400 &&
      outcome.sealed === outcome.secured &&
      outcome.tlv?.state === state &&
      outcome.tlv.error !== undefined &&
      (code === undefined || outcome.tlv.error === code) &&
      !hasSuccessItem(outcome.tlv),
  };
}

/** A TLV error with the State due, whatever its code and HTTP status. */
export function otherError(state: number): Matcher {
  return {
    words: `another TLV error with State=${state}`,
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.tlv?.state === state &&
      outcome.tlv.error !== undefined &&
      !hasSuccessItem(outcome.tlv),
  };
}

/** HTTP 400 (or another 4xx) without a body: the reference's answer to malformed input. */
export function badRequest(): Matcher {
  return {
    words: 'HTTP 4xx (400 preferred) without a body',
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.http.status >= 400 &&
      outcome.http.status < 500 &&
      outcome.http.body.length === 0 &&
      outcome.sealed === outcome.secured,
  };
}

/** HTTP 4xx, whatever is in its body, as long as it is nothing of the success. */
export function clientError(): Matcher {
  return {
    words: 'HTTP 4xx',
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.http.status >= 400 &&
      outcome.http.status < 500 &&
      outcome.sealed === outcome.secured &&
      !(outcome.tlv && hasSuccessItem(outcome.tlv)),
  };
}

const successItems = [
  TlvType.Salt,
  TlvType.PublicKey,
  TlvType.Proof,
  TlvType.EncryptedData,
  TlvType.Permissions,
];

function hasSuccessItem(tlv: TlvMessage): boolean {
  return successItems.some((type) => tlv.has(type));
}

/** Any way of saying no: a TLV error with any State or HTTP status, HTTP 4xx or 5xx, or a close. Never silence. */
export function anyRefusal(): Matcher {
  return {
    words: 'another refusal: a TLV error, HTTP 4xx or 5xx, or a close',
    event: 'reply',
    wide: true,
    matches: (outcome) =>
      outcome.kind === 'close' ||
      outcome.kind === 'reset' ||
      (outcome.kind === 'reply' &&
        outcome.sealed === outcome.secured &&
        (outcome.tlv === undefined
          ? outcome.http.status >= 400
          : !hasSuccessItem(outcome.tlv) && (outcome.tlv.has(TlvType.Error) || outcome.http.status >= 400))),
  };
}

/** A refusal without a TLV error: HTTP 4xx or 5xx alone, or a close. Where a seed fixes the code, another one is none. */
export function withoutCode(): Matcher {
  return {
    words: 'HTTP 4xx or 5xx without a TLV error, or a close',
    event: 'reply',
    matches: (outcome) =>
      anyRefusal().matches(outcome) && !(outcome.kind === 'reply' && outcome.tlv?.has(TlvType.Error)),
  };
}

/** Refused for want of a verified session, without data (erratum E21). */
export function unauthorised(): Matcher {
  return {
    words: 'HTTP 470 (401, 403, 404, 400 too) without data',
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.profile.unauthorised.includes(outcome.http.status) &&
      !(outcome.tlv && hasSuccessItem(outcome.tlv)),
  };
}

/** HTTP 5xx: a refusal, though a sloppy one. */
export function serverError(): Matcher {
  return {
    words: 'HTTP 5xx',
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' && outcome.http.status >= 500 && outcome.sealed === outcome.secured,
  };
}

/** HTTP 2xx: the request was served. */
export function served(): Matcher {
  return {
    words: 'HTTP 2xx: the request was served',
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' &&
      outcome.http.status >= 200 &&
      outcome.http.status < 300 &&
      // HTTP 200 with a TLV error is how the protocol refuses.
      !(outcome.tlv?.has(TlvType.Error) ?? false),
  };
}

/** An HTTP 200 with a body, sealed when the connection is secured. */
export function answered(status = 200): Matcher {
  return {
    words: `HTTP ${status}, sealed on a secured connection`,
    event: 'reply',
    matches: (outcome) =>
      outcome.kind === 'reply' && outcome.http.status === status && outcome.sealed === outcome.secured,
  };
}

/** Any reply in plaintext on a secured connection. */
export function plaintextReply(): Matcher {
  return {
    words: 'an answer in plaintext on a secured connection',
    event: 'reply',
    matches: (outcome) => outcome.kind === 'reply' && outcome.secured && !outcome.sealed,
  };
}

/** Any reply at all. */
export function anyReply(): Matcher {
  return { words: 'any answer', event: 'reply', wide: true, matches: (outcome) => outcome.kind === 'reply' };
}

/** FIN or RST without an answer. */
export function closed(): Matcher {
  return {
    words: 'connection closed without an answer',
    event: 'close',
    matches: (outcome) => outcome.kind === 'close' || outcome.kind === 'reset',
  };
}

/** No answer, connection open. */
export function silence(): Matcher {
  return {
    words: 'silence, connection open',
    event: 'silence',
    matches: (outcome) => outcome.kind === 'silence',
  };
}

/** Raw bytes for a report, at most `maximum` of them. */
export function hexDump(bytes: Bytes, maximum = 64): string {
  const shown = hex(bytes.subarray(0, maximum)).replace(/(..)(?!$)/g, '$1 ');
  return bytes.length > maximum ? `${shown} … (${bytes.length} bytes)` : shown;
}

/** A response in a line: its TLV8, or the beginning of its body. */
export function describeResponse(http: HttpMessage, tlv: TlvMessage | undefined): string {
  if (http.body.length === 0) return '(empty body)';
  if (tlv === undefined)
    return `${contentType(http) || 'no Content-Type'}, ${http.body.length} bytes: ${text(http.body.subarray(0, 60)).replace(/\s+/g, ' ')}`;
  const bytes = http.body.length <= 24 ? `  [${hexDump(http.body)}]` : '';
  return tlv.toString() + bytes;
}
