import type { Socket } from 'node:net';
import { Accessory, type Behaviour, healthy } from '../../harness/accessory/index.js';
import {
  type Bytes,
  N,
  type TlvItem,
  TlvType,
  concat,
  decodeTlv,
  encodeTlv,
  fromInteger,
  labelNonce,
  parseSetupCode,
  seal,
  seededRandom,
  utf8,
} from '../../harness/protocol/index.js';
import { limits } from '../../harness/wire/index.js';
import { slowness } from '../pace.js';

/** What is done with one connection. */
export type Peer = (socket: Socket) => void;

/** A row of the table: a peer for each run, because some remember. */
export interface Row {
  readonly name: string;
  readonly peer: () => Peer;
}

export const CODE = '031-45-154';
/** Milliseconds an answer may take: more on a machine that is busy, where a peer of this process is late by itself. */
export const TIMEOUT = Math.round(1_000 * Math.min(4, slowness()));

/** An answer of the reference accessory on its way out. */
type Stage = 'm2' | 'm4' | 'm6' | 'verify-m2' | 'verify-m4' | 'sealed' | 'other';
/** What goes out instead; undefined when the mangler has seen to the connection itself. */
type Mangle = (bytes: Buffer, socket: Socket) => Bytes | undefined;

const TYPE = 'application/pairing+tlv8';

/** A response with a TLV body, or with any headers in the place of its length. */
function response(body: Bytes, headers = `Content-Length: ${body.length}`): Bytes {
  return concat(utf8(`HTTP/1.1 200 OK\r\nContent-Type: ${TYPE}\r\n${headers}\r\n\r\n`), body);
}

/** A peer that says the same to every connection, at its first bytes. */
function says(bytes: Bytes | (() => Bytes), after: 'stay' | 'end' | 'reset' = 'stay'): Peer {
  return (socket) =>
    socket.once('data', () => {
      socket.write(typeof bytes === 'function' ? bytes() : bytes);
      if (after === 'end') socket.end();
      if (after === 'reset') setTimeout(() => socket.resetAndDestroy(), 20);
    });
}

/** Bytes again and again, as fast as they are taken, behind a beginning. */
export function endless(beginning: Bytes, again: Bytes, total = Infinity): Peer {
  return (socket) =>
    socket.once('data', () => {
      let sent = 0;
      const pump = (): void => {
        while (!socket.destroyed && sent < total) {
          sent += again.length;
          if (!socket.write(again)) return void socket.once('drain', pump);
        }
      };
      socket.write(beginning);
      pump();
    });
}

/** Bytes one by one, each after so many milliseconds. */
function dribbles(bytes: Bytes, every: number): Peer {
  return (socket) =>
    socket.once('data', () => {
      let at = 0;
      const timer = setInterval(() => {
        if (at < bytes.length && !socket.destroyed) socket.write(bytes.subarray(at, ++at));
      }, every);
      socket.once('close', () => clearInterval(timer));
    });
}

function reference(change: Partial<Behaviour> = {}): Accessory {
  return new Accessory({
    code: parseSetupCode(CODE),
    random: seededRandom('hostile'),
    behaviour: { ...healthy, ...change },
  });
}

function stageOf(request: string, answer: Buffer, secured: boolean): Stage {
  if (secured) return 'sealed';
  const state = decodeTlv(answer.subarray(answer.indexOf('\r\n\r\n') + 4)).state;
  if (request.startsWith('POST /pair-setup'))
    return ({ 2: 'm2', 4: 'm4', 6: 'm6' } as const)[state ?? 0] ?? 'other';
  if (request.startsWith('POST /pair-verify'))
    return ({ 2: 'verify-m2', 4: 'verify-m4' } as const)[state ?? 0] ?? 'other';
  return 'other';
}

/** The reference accessory, with a man in the middle who has his way with the answers of one stage. */
function behind(stage: Stage, mangle: Mangle, change: Partial<Behaviour> = {}): () => Peer {
  return () => {
    const accessory = reference(change);
    const sockets = new Map<number, Socket>();
    return (socket) => {
      const number = accessory.open(performance.now());
      sockets.set(number, socket);
      let secured = false;
      socket.on('data', (bytes) => {
        const request = bytes.toString('latin1');
        for (const reaction of accessory.receive(number, bytes, performance.now())) {
          const to = sockets.get(reaction.connection);
          if (to === undefined || to.destroyed) continue;
          if (reaction.kind === 'close') to.end();
          else if (reaction.kind === 'reset') to.resetAndDestroy();
          else {
            const answer = Buffer.from(reaction.bytes);
            const is = to === socket ? stageOf(request, answer, secured) : 'other';
            const out = is === stage ? mangle(answer, to) : answer;
            if (out !== undefined) to.write(out);
            if (is === 'verify-m4' && answer.includes('200 OK')) secured = true;
          }
        }
      });
      socket.once('close', () => void accessory.closed(number, performance.now()));
    };
  };
}

/** The reference accessory with one decision changed. */
function twin(change: Partial<Behaviour>): () => Peer {
  return behind('other', (bytes) => bytes, change);
}

/** Answers of one step with items replaced, added or, where the value is undefined, left out. */
function items(step: string, changes: Readonly<Record<number, Bytes | undefined>>): Partial<Behaviour> {
  return { beforeSending: (reply) => (reply.step === step ? edited(reply.items, changes) : reply.items) };
}

function inside(
  step: 'setup-m6' | 'verify-m2',
  changes: Readonly<Record<number, Bytes | undefined>>,
): Partial<Behaviour> {
  return { beforeSealing: (sealing, list) => (sealing === step ? edited(list, changes) : list) };
}

function edited(list: readonly TlvItem[], changes: Readonly<Record<number, Bytes | undefined>>): TlvItem[] {
  return list.flatMap(({ type, value }) => {
    if (!(type in changes)) return [{ type, value }];
    const changed = changes[type];
    return changed === undefined ? [] : [{ type, value: changed }];
  });
}

const filled = (length: number, value = 0x41): Bytes => new Uint8Array(length).fill(value);
const cut: Mangle = (bytes) => bytes.subarray(0, bytes.length >> 1);
const { PublicKey, Salt, Proof, EncryptedData, Identifier, Signature } = TlvType;
const m2Body = encodeTlv([
  { type: TlvType.State, value: Uint8Array.of(2) },
  { type: Salt, value: filled(16, 7) },
  { type: PublicKey, value: filled(384, 7) },
]);

const row = (name: string, peer: () => Peer): Row => ({ name, peer });
const silent: Peer = (socket) => void socket.resume();
const late =
  (milliseconds: number): Mangle =>
  (bytes, socket) => {
    setTimeout(() => socket.destroyed || socket.write(bytes), milliseconds);
    return undefined;
  };
const ends: Mangle = (_bytes, socket) => void socket.end();
const resets: Mangle = (_bytes, socket) => void socket.resetAndDestroy();

const broken: readonly Row[] = [
  row('says nothing', () => silent),
  row('headers without end', () =>
    endless(utf8('HTTP/1.1 200 OK\r\n'), utf8('X-More: of the same\r\n'.repeat(64))),
  ),
  row('one header line without end', () => endless(utf8('HTTP/1.1 200 OK\r\nX: '), filled(4096))),
  row('a start line without end', () => endless(utf8('HTTP/1.1 200 '), filled(4096))),
  row('a body without end', () => endless(utf8('HTTP/1.1 200 OK\r\n\r\n'), filled(16_384))),
  row('chunks without end', () =>
    endless(
      utf8('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
      utf8(`400\r\n${'a'.repeat(1024)}\r\n`),
    ),
  ),
  row('a hundred thousand chunks of one byte, and no end', () =>
    endless(
      utf8('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
      utf8('1\r\na\r\n'.repeat(1000)),
      600_000,
    ),
  ),
  row('a chunk size without end', () =>
    endless(utf8('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), utf8('0'.repeat(512))),
  ),
  row('trailers without end', () =>
    endless(utf8('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n'), utf8('X: y\r\n'.repeat(99))),
  ),
  row('a negative chunk size', () =>
    says(utf8('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n')),
  ),
  row('a byte a second', () => dribbles(response(m2Body), 1000)),
  row('a byte every 5 ms', () => dribbles(response(m2Body), 5)),
  row('a length of a terabyte', () => says(response(m2Body, 'Content-Length: 1099511627776'))),
  row('a length just above the limit', () => says(response(m2Body, `Content-Length: ${limits.body + 1}`))),
  row('a length of 30 digits', () => says(response(m2Body, `Content-Length: ${'9'.repeat(30)}`))),
  row('a negative length', () => says(response(m2Body, 'Content-Length: -1'))),
  row('a length in words', () => says(response(m2Body, 'Content-Length: many'))),
  row('two lengths that differ', () => says(response(m2Body, 'Content-Length: 6\r\nContent-Length: 7'))),
  row('no length, connection open', () => says(response(m2Body, 'X: y'))),
  row('no length, then FIN', () => says(response(m2Body, 'X: y'), 'end')),
  row('1xx without end', () => endless(utf8(''), utf8('HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)))),
  row('events without end', () =>
    endless(utf8(''), utf8('EVENT/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}'.repeat(20))),
  ),
  row('a page of HTML', () =>
    says(
      utf8(
        'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 37\r\n\r\n<html><script>alert(1)</script></html>',
      ),
      'end',
    ),
  ),
  row('HTML without HTTP', () => says(utf8('<!DOCTYPE html><html>]]></html>'))),
  row('a TLS alert', () => says(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 0x28), 'end')),
  row('a TLS hello', () => says(concat(Uint8Array.of(0x16, 3, 3, 0, 0x7a), filled(122)))),
  row('an SSH banner', () => (socket) => void socket.write('SSH-2.0-OpenSSH_9.6\r\n')),
  row('an HTTP/2 preface', () => says(utf8('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))),
  row('HTTP/2 settings', () => says(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0))),
  row('NULs', () => says(filled(1000, 0))),
  row('escape sequences in the status line', () =>
    says(utf8('HTTP/1.1 500 \u001b[2J\u001b]0;x\u0007\r\nContent-Length: 0\r\n\r\n')),
  ),
  row('markup in headers', () =>
    says(utf8('HTTP/1.1 200 OK\r\nContent-Type: ]]><script>&\u0000\r\nContent-Length: 3\r\n\r\n\u0001]]')),
  ),
  row('FIN on connect', () => (socket) => void socket.end()),
  row('RST on connect', () => (socket) => void socket.resetAndDestroy()),
  row('FIN behind M1', () => says(new Uint8Array(0), 'end')),
  row('RST behind M1', () => says(new Uint8Array(0), 'reset')),
  row('FIN in the middle of M2', () => says(response(m2Body).subarray(0, 200), 'end')),
  row('RST in the middle of M2', () => says(response(m2Body).subarray(0, 200), 'reset')),
  row('M2 cut inside an item', () => says(response(m2Body.subarray(0, 100)))),
];

const setup: readonly Row[] = [
  ...(
    [
      ['0', Uint8Array.of(0)],
      ['384 zero bytes', filled(384, 0)],
      ['N', fromInteger(N)],
      ['N + 1', fromInteger(N + 1n)],
      ['2N in 385 bytes', fromInteger(2n * N)],
      ['1', Uint8Array.of(1)],
      ['empty', new Uint8Array(0)],
      ['385 bytes', filled(385)],
      ['missing', undefined],
    ] as const
  ).map(([name, B]) => row(`B: ${name}`, twin(items('setup-m2', { [PublicKey]: B })))),
  ...[0, 1, 15, 17, 255, 4096].map((length) =>
    row(`a salt of ${length} bytes`, twin(items('setup-m2', { [Salt]: filled(length) }))),
  ),
  row(
    'M2 twice',
    behind('m2', (bytes) => concat(bytes, bytes)),
  ),
  row(
    'FIN in the middle of M4',
    behind('m4', (bytes, socket) => void socket.end(bytes.subarray(0, 99))),
  ),
  row('FIN behind M3', behind('m4', ends)),
  row('RST behind M3', behind('m4', resets)),
  row('half of M4, and no more', behind('m4', cut)),
  row('a wrong proof in M4', twin(items('setup-m4', { [Proof]: filled(64) }))),
  row('no proof in M4', twin(items('setup-m4', { [Proof]: undefined }))),
  ...[0, 63, 65].map((length) =>
    row(`a proof of ${length} bytes`, twin(items('setup-m4', { [Proof]: filled(length) }))),
  ),
  row('FIN behind M5', behind('m6', ends)),
  row('RST behind M5', behind('m6', resets)),
  row('a wrong signature in M6', twin(inside('setup-m6', { [Signature]: filled(64) }))),
  ...(['Identifier', 'PublicKey', 'Signature'] as const).map((name) =>
    row(`M6 without ${name}`, twin(inside('setup-m6', { [TlvType[name]]: undefined }))),
  ),
  row('a zero LTPK', twin(inside('setup-m6', { [PublicKey]: filled(32, 0) }))),
  ...[0, 1, 15, 16].map((length) =>
    row(
      `EncryptedData of ${length} bytes in M6`,
      twin(items('setup-m6', { [EncryptedData]: filled(length) })),
    ),
  ),
  row(
    'EncryptedData of M6 does not open',
    twin(items('setup-m6', { [EncryptedData]: seal(filled(32), labelNonce('PS-Msg06'), filled(100)) })),
  ),
  ...(
    [
      ['control characters', utf8('a\u0000b\u0007\r\nc')],
      ['escape sequences', utf8('\u001b[31mred\u001b[2J')],
      ['markup', utf8(']]></testcase>&<script>"\'')],
      ['invalid UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0, 0x80, 0xf5)],
      ['a lone surrogate', Uint8Array.of(0xed, 0xa0, 0x80, 0x41)],
      ['10 kB', filled(10_240)],
    ] as const
  ).map(([name, id]) => row(`an identifier of ${name}`, twin({ ownIdentifier: () => id }))),
];

const sessions: readonly Row[] = [
  row('FIN behind Pair Verify M1', behind('verify-m2', ends)),
  row('RST behind Pair Verify M3', behind('verify-m4', resets)),
  row('another signature in Pair Verify M2', twin(inside('verify-m2', { [Signature]: filled(64) }))),
  row('Pair Verify M2 does not open', twin(items('verify-m2', { [EncryptedData]: filled(40) }))),
  row('Pair Verify key of zeros', twin(items('verify-m2', { [PublicKey]: filled(32, 0) }))),
  row(
    'another identifier in Pair Verify M2',
    twin(inside('verify-m2', { [Identifier]: utf8('00:00:00:00:00:00') })),
  ),
  row(
    'a frame that never ends',
    behind('sealed', () => Uint8Array.of(0, 4, 1, 2, 3)),
  ),
  row(
    'frames of 65535 bytes without end',
    behind('sealed', (_bytes, socket) => {
      endlessly(socket, filled(65_536, 0xff));
      return undefined;
    }),
  ),
  row(
    'a wrong tag',
    behind('sealed', (bytes) => {
      bytes[bytes.length - 1]! ^= 1;
      return bytes;
    }),
  ),
  row(
    'a repeated nonce',
    behind('sealed', (bytes) => bytes, {
      frameCounter: ({ direction, count }) => (direction === 'out' ? 0n : count),
    }),
  ),
  row(
    'frames twice',
    behind('sealed', (bytes) => concat(bytes, bytes)),
  ),
  row(
    'a plaintext reply in a session',
    behind('sealed', () => utf8('HTTP/1.1 204 No Content\r\n\r\n')),
  ),
  row(
    'a plaintext event flood in a session',
    behind('sealed', (_bytes, socket) => {
      endlessly(socket, utf8('EVENT/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}'.repeat(20)));
      return undefined;
    }),
  ),
  row(
    'nothing in a session',
    behind('sealed', () => undefined),
  ),
  row('FIN in a session', behind('sealed', ends)),
  row('M2 after three timeouts', behind('m2', late(3 * TIMEOUT))),
  row('M4 after three timeouts', behind('m4', late(3 * TIMEOUT))),
  row('a reply in a session after three timeouts', behind('sealed', late(3 * TIMEOUT))),
];

function endlessly(socket: Socket, bytes: Bytes): void {
  const pump = (): void => {
    while (!socket.destroyed) if (!socket.write(bytes)) return void socket.once('drain', pump);
  };
  pump();
}

/** Last, so that what it takes to read them holds up nobody's clock. */
const heavy: readonly Row[] = [
  row('a TLV of 16 MB', () => says(() => response(filled(16 * 1024 * 1024)))),
  row('a million empty TLVs', () => says(() => response(filled(2_000_000, 0)))),
];

/** Its answers come in time, with two seconds to spare that a busy machine may take. First, so that it waits beside the others. */
const PATIENCE = 5 * TIMEOUT;
const LATE = 0.6 * PATIENCE;
const inTime = row('M2 after 0.6 of the timeout', behind('m2', late(LATE)));

/** Milliseconds a peer holds each M2 back and is still in time. */
export function lateness(of: Row): number {
  return of === inTime ? LATE : 0;
}

/** Milliseconds an answer of a peer may take. Megabytes have to come and be read on a busy machine; nobody waits for them. */
export function timeoutOf(of: Row): number {
  if (of === inTime) return PATIENCE;
  return heavy.includes(of) || / without end$/.test(of.name) ? 10_000 : TIMEOUT;
}

export const rows: readonly Row[] = [inTime, ...setup, ...sessions, ...broken, ...heavy];
