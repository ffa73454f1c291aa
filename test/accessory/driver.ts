import {
  Accessory,
  type AccessoryOptions,
  type Behaviour,
  type Reaction,
} from '../../harness/accessory/index.js';
import {
  type ListedPairing,
  PairSetupController,
  PairVerifyController,
  readPairings,
} from '../../harness/controller/index.js';
import {
  type Bytes,
  type Identity,
  type Peer,
  type TlvItem,
  type TlvMessage,
  concat,
  controllerIdentity,
  decodeTlv,
  encodeTlv,
  listPairings,
  parseSetupCode,
  seededRandom,
} from '../../harness/protocol/index.js';
import { type HttpMessage, HttpReader, SecureSession, encodeRequest } from '../../harness/wire/index.js';

export const code = parseSetupCode('031-45-154');
export const wrongCode = parseSetupCode('031-45-155');

/** What came back on one connection: responses, and how the connection stands. */
export interface Answer {
  readonly messages: readonly HttpMessage[];
  /** The bytes as sent. */
  readonly wire: Bytes;
  readonly ended: boolean;
  /** Connections this request ended. */
  readonly endedConnections: readonly number[];
}

/** An accessory core and a clock that only the test moves. */
export class Bench {
  readonly accessory: Accessory;
  now = 0;
  private readonly random = seededRandom('accessory test');

  constructor(options: Partial<AccessoryOptions> & { behaviour?: Behaviour } = {}) {
    this.accessory = new Accessory({ code, random: seededRandom('accessory'), ...options });
  }

  line(): Line {
    return new Line(this);
  }

  controller(name: string): Identity {
    return controllerIdentity(this.random.fork(name));
  }

  /** Pair Setup M1 to M6 on a new connection. @throws when a step is not as it must be. */
  pair(name = 'alice', line = this.line()): { controller: Identity; accessory: Peer } {
    const controller = this.controller(name);
    const setup = this.setup(controller);
    line.startSetup(setup);
    const m4 = setup.readM4(line.tlv('/pair-setup', setup.m3()));
    if (m4.findings.length > 0) throw new Error(m4.findings[0]!.what);
    const m6 = setup.readM6(line.tlv('/pair-setup', setup.m5()));
    if (m6.findings.length > 0 || m6.accessory === undefined) throw new Error(m6.findings[0]?.what);
    return { controller, accessory: m6.accessory };
  }

  setup(controller: Identity, password = code.dashed): PairSetupController {
    return new PairSetupController(password, controller, this.random);
  }

  /** A connection on which Pair Verify has succeeded. @throws when it did not. */
  verify(controller: Identity, accessory: Peer): Line {
    const line = this.line();
    const m4 = line.verify(controller, accessory);
    if (m4.state !== 4 || m4.error !== undefined) throw new Error(`Pair Verify M4: ${m4.toString()}`);
    return line;
  }

  newVerify(controller: Identity, accessory: Peer | undefined): PairVerifyController {
    return new PairVerifyController(controller, accessory, this.random);
  }

  list(line: Line): readonly ListedPairing[] {
    const { entries, findings } = readPairings(line.tlv('/pairings', listPairings()));
    if (findings.length > 0) throw new Error(findings[0]!.what);
    return entries;
  }
}

/** One connection to the core. */
export class Line {
  readonly number: number;
  secure: SecureSession | undefined;
  ended = false;
  private reader = new HttpReader('response');

  constructor(private readonly bench: Bench) {
    this.number = bench.accessory.open(bench.now);
  }

  close(): void {
    this.bench.accessory.closed(this.number, this.bench.now);
  }

  /** Raw bytes in, everything that comes back out. */
  raw(bytes: Bytes): Answer {
    const reactions: Reaction[] = this.bench.accessory.receive(this.number, bytes, this.bench.now);
    const wire = concat(
      ...reactions.flatMap((reaction) =>
        reaction.kind === 'send' && reaction.connection === this.number ? [reaction.bytes] : [],
      ),
    );
    const endedConnections = reactions
      .filter(({ kind }) => kind === 'close')
      .map(({ connection }) => connection);
    if (endedConnections.includes(this.number)) this.ended = true;
    if (this.secure === undefined) this.reader.feed(wire);
    else
      for (const { plaintext } of this.secure.open(wire)) {
        if (plaintext === undefined) throw new Error('a frame of the accessory does not open');
        this.reader.feed(plaintext);
      }
    const messages: HttpMessage[] = [];
    for (let next = this.reader.next(); next.kind === 'message'; next = this.reader.next())
      messages.push(next.message);
    return { messages, wire, ended: this.ended, endedConnections };
  }

  request(
    method: string,
    path: string,
    body?: Bytes,
    headers: readonly (readonly [string, string])[] = [],
  ): Answer {
    const bytes = encodeRequest({
      method,
      path,
      headers: [['Host', 'test'], ...headers],
      ...(body && { body }),
    });
    return this.raw(this.secure ? concat(...this.secure.seal(bytes)) : bytes);
  }

  /** The one response to a request. @throws when there is none. */
  http(method: string, path: string, body?: Bytes): HttpMessage {
    const { messages } = this.request(method, path, body);
    if (messages.length !== 1) throw new Error(`${method} ${path}: ${messages.length} responses`);
    return messages[0]!;
  }

  post(path: string, items: readonly TlvItem[]): HttpMessage {
    return this.http('POST', path, encodeTlv(items));
  }

  /** The TLV of a 200 response. @throws when the status is another. */
  tlv(path: string, items: readonly TlvItem[]): TlvMessage {
    const response = this.post(path, items);
    if (response.status !== 200) throw new Error(`POST ${path}: HTTP ${response.status}`);
    return decodeTlv(response.body);
  }

  /** M1 and M2; the controller is ready for M3 behind it. */
  startSetup(setup: PairSetupController): void {
    const m2 = this.tlv('/pair-setup', setup.m1());
    const salt = m2.get(2);
    const B = m2.joined(3);
    if (salt === undefined || B === undefined) throw new Error(`Pair Setup M2: ${m2.toString()}`);
    setup.answer(salt, B);
  }

  /** Pair Verify M1 to M4; the line is secured when M4 says success. */
  verify(controller: Identity, accessory: Peer | undefined): TlvMessage {
    const verify = this.bench.newVerify(controller, accessory);
    const m2 = verify.readM2(this.tlv('/pair-verify', verify.m1()));
    if (m2.findings.length > 0) throw new Error(m2.findings[0]!.what);
    const m4 = this.tlv('/pair-verify', verify.m3());
    if (m4.error === undefined) {
      this.secure = new SecureSession(verify.sessionKeys());
      this.reader = new HttpReader('response');
    }
    return m4;
  }
}
