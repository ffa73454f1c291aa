import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, concat, hex, utf8 } from '../protocol/index.js';
import type { TraceEvent } from '../wire/index.js';
import { fileName } from './evidence.js';
import { writeAtomically } from './files.js';
import type { SecretIndex } from './secrets.js';
import { oneLine } from './text.js';

/** Packets hold addresses without a link layer (LINKTYPE_RAW). */
const RAW = 101;
/** Where packets are from: as they went over the wire, and what was in their frames. */
const WIRE = 0;
const PLAIN = 1;
/** The port under which readers look for HTTP: they need not be told. */
const HTTP_PORT = 80;
const WIRE_PORT = 51826;
const FIRST_PORT = 49152;
/** Bytes of one packet; what a connection brought at once is as many packets as it takes. */
const SEGMENT = 16_384;
const FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, push: 0x08, ack: 0x10 } as const;

const controllerAddress = { [WIRE]: [10, 0, 0, 1], [PLAIN]: [10, 0, 1, 1] } as const;
const accessoryAddress = { [WIRE]: [10, 0, 0, 2], [PLAIN]: [10, 0, 1, 2] } as const;

function u32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
  return bytes;
}

function option(code: number, value: Bytes): Bytes {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint16(0, code, true);
  new DataView(head.buffer).setUint16(2, value.length, true);
  return concat(head, value, new Uint8Array(-value.length & 3));
}

/** A block: its type, its length before and behind, padded to four bytes. */
function block(type: number, body: Bytes): Bytes {
  const length = u32(12 + body.length);
  return concat(u32(type), length, body, length);
}

const END = option(0, new Uint8Array(0));
const COMMENT = 1;

/** What every capture begins with: who wrote it, and its two interfaces. Times are microseconds. */
export function captureHead(application: string): Bytes {
  const section = concat(
    u32(0x1a2b3c4d),
    Uint8Array.of(1, 0, 0, 0),
    new Uint8Array(8).fill(0xff),
    option(4, utf8(application)),
    END,
  );
  const face = (name: string, description: string): Bytes =>
    block(
      1,
      concat(Uint8Array.of(RAW, 0, 0, 0), u32(0), option(2, utf8(name)), option(3, utf8(description)), END),
    );
  return concat(
    block(0x0a0d0d0a, section),
    face('wire', 'bytes as they went over the wire, in TCP made for it'),
    face('decrypted', 'the HTTP inside of the frames, in TCP made for it'),
  );
}

function sum16(bytes: Bytes, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** A TCP segment in IPv4 with right checksums. */
function packet(
  from: { readonly address: readonly number[]; readonly port: number; readonly sequence: number },
  to: { readonly address: readonly number[]; readonly port: number; readonly sequence: number },
  flags: number,
  payload: Bytes,
): Bytes {
  const bytes = new Uint8Array(40 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0]);
  view.setUint16(2, bytes.length);
  bytes.set([0x40, 0, 64, 6], 6);
  bytes.set(from.address, 12);
  bytes.set(to.address, 16);
  view.setUint16(10, ~sum16(bytes.subarray(0, 20)) & 0xffff);
  view.setUint16(20, from.port);
  view.setUint16(22, to.port);
  view.setUint32(24, from.sequence >>> 0);
  view.setUint32(28, (flags & FLAGS.ack) === 0 ? 0 : to.sequence >>> 0);
  bytes.set([0x50, flags, 0xff, 0xff], 32);
  bytes.set(payload, 40);
  const pseudo = sum16(bytes.subarray(12, 20), 6 + bytes.length - 20);
  view.setUint16(36, ~sum16(bytes.subarray(20), pseudo) & 0xffff);
  return bytes;
}

interface Flow {
  readonly port: number;
  /** Next sequence numbers of controller and accessory. */
  sent: number;
  received: number;
  over: boolean;
}

/**
 * Packets of a run, made of what its trace says. Each connection is one of TCP on either interface; between what belongs to
 * it stand no other bytes. Secrets are overwritten wherever they stand.
 */
export class Capture {
  private readonly flows = new Map<string, Flow>();
  private ports = 0;

  /**
   * @param base - milliseconds since 1970 at which the clock of the run was 0
   * @param secrets - keys that must not be in it
   * @param codes - neither may these texts, none of them empty, of which there may be more each time
   * @param keys - say the keys of each session in a comment of its first packet, secret or not
   */
  constructor(
    private readonly base: number,
    private readonly secrets: SecretIndex,
    private readonly codes: () => readonly string[],
    private readonly keys = false,
  ) {}

  /** The packets of one check, its id and what each message is among their comments. */
  add(id: string, events: readonly TraceEvent[]): Bytes {
    const blocks: Bytes[] = [];
    let comments: string[] = [];
    let keys: string[] = [];
    const put = (event: TraceEvent, face: 0 | 1, ours: boolean, flags: number, payload: Bytes): void => {
      const flow = this.flow(event.connection, face);
      const [a, b] = [
        { address: controllerAddress[face], port: flow.port, sequence: flow.sent },
        {
          address: accessoryAddress[face],
          port: face === WIRE ? WIRE_PORT : HTTP_PORT,
          sequence: flow.received,
        },
      ];
      const data = ours ? packet(a, b, flags, payload) : packet(b, a, flags, payload);
      const step = payload.length + ((flags & (FLAGS.syn | FLAGS.fin)) === 0 ? 0 : 1);
      if (ours) flow.sent += step;
      else flow.received += step;
      blocks.push(
        this.enhanced(
          face,
          event.time,
          data,
          [id, ...comments].map((text) => this.cleanText(oneLine(text, 2000))).concat(keys),
        ),
      );
      comments = [];
      keys = [];
    };
    const open = (event: TraceEvent, face: 0 | 1): void => {
      const { syn, ack } = FLAGS;
      if (this.flow(event.connection, face).sent > 0) return;
      const none = new Uint8Array(0);
      put(event, face, true, syn, none);
      put(event, face, false, syn | ack, none);
      put(event, face, true, ack, none);
    };
    const data = (event: TraceEvent, face: 0 | 1, ours: boolean, bytes: Bytes): void => {
      open(event, face);
      const clean = this.clean(bytes);
      for (let at = 0; at < clean.length; at += SEGMENT)
        put(event, face, ours, FLAGS.push | FLAGS.ack, clean.subarray(at, at + SEGMENT));
    };
    const end = (event: TraceEvent, ours: boolean, flags: number): void => {
      for (const face of [WIRE, PLAIN] as const) {
        const flow = this.flow(event.connection, face);
        if (flow.sent === 0 || flow.over) continue;
        flow.over = true;
        put(event, face, ours, flags | FLAGS.ack, new Uint8Array(0));
      }
    };
    for (const event of events)
      switch (event.kind) {
        case 'open':
          open(event, WIRE);
          break;
        case 'sent':
        case 'received':
          data(event, WIRE, event.kind === 'sent', event.bytes);
          if (!this.secured.has(event.connection)) data(event, PLAIN, event.kind === 'sent', event.bytes);
          break;
        case 'opened':
          if (event.items === undefined) data(event, PLAIN, event.ours === true, event.bytes);
          break;
        case 'said':
        case 'heard':
          comments.push(
            `${event.kind === 'said' ? '→' : '←'} ${event.sealed ? '[sealed] ' : ''}${event.line}`,
          );
          break;
        case 'note':
          if (event.line !== 'secured') comments.push(event.line);
          else {
            this.secured.add(event.connection);
            if (this.keys && event.keys !== undefined)
              keys = [
                `key of the frames controller → accessory: ${hex(event.keys.toAccessory)}`,
                `key of the frames accessory → controller: ${hex(event.keys.toController)}`,
              ];
          }
          break;
        case 'we-close':
        case 'we-finish':
          end(event, true, FLAGS.fin);
          break;
        case 'close':
          end(event, false, FLAGS.fin);
          break;
        case 'we-reset':
          end(event, true, FLAGS.rst);
          break;
        case 'reset':
          end(event, false, FLAGS.rst);
          break;
        case 'silence':
        case 'inside':
          break;
      }
    return concat(...blocks);
  }

  /** Connections that have gone over to frames. */
  private readonly secured = new Set<number>();

  private flow(connection: number, face: 0 | 1): Flow {
    const key = `${face} ${connection}`;
    let flow = this.flows.get(key);
    if (flow === undefined) {
      flow = { port: FIRST_PORT + (this.ports++ % 16_000), sent: 0, received: 0, over: false };
      this.flows.set(key, flow);
    }
    return flow;
  }

  private enhanced(face: number, time: number, data: Bytes, comments: readonly string[]): Bytes {
    const stamp = BigInt(Math.round((this.base + time) * 1000));
    const options = comments.map((text) => option(COMMENT, utf8(text)));
    return block(
      6,
      concat(
        u32(face),
        u32(Number(stamp >> 32n)),
        u32(Number(stamp & 0xffffffffn)),
        u32(data.length),
        u32(data.length),
        data,
        new Uint8Array(-data.length & 3),
        ...options,
        END,
      ),
    );
  }

  private clean(bytes: Bytes): Bytes {
    const clean = Buffer.from(this.secrets.withoutKeys(bytes));
    for (const code of this.codes().map(utf8))
      for (let at = clean.indexOf(code); at >= 0; at = clean.indexOf(code, at + code.length))
        clean.fill(0x58, at, at + code.length);
    return new Uint8Array(clean);
  }

  private cleanText(text: string): string {
    return new TextDecoder().decode(this.clean(utf8(text)));
  }
}

const partsOf = (path: string): string => `${path}.parts`;

/** Makes room for the packets of a run beside the file that they end in. */
export function beginCapture(path: string, application: string): void {
  // An empty capture first: a path that cannot be written is told before the accessory is touched.
  writeAtomically(path, captureHead(application));
  rmSync(partsOf(path), { recursive: true, force: true });
  mkdirSync(partsOf(path));
}

/** Keeps the packets of one check until the run is over. */
export function keepPackets(path: string, id: string, packets: Bytes): void {
  writeFileSync(join(partsOf(path), fileName(id, '.packets')), packets);
}

/** Writes all packets in the order of the checks, and takes away what was kept on the way. */
export function endCapture(path: string, application: string, ids: readonly string[]): void {
  const there = new Set(readdirSync(partsOf(path)));
  const parts = [...new Set(ids.map((id) => fileName(id, '.packets')))].filter((name) => there.has(name));
  writeAtomically(
    path,
    concat(
      captureHead(application),
      ...parts.map((name) => new Uint8Array(readFileSync(join(partsOf(path), name)))),
    ),
  );
  rmSync(partsOf(path), { recursive: true, force: true });
}
