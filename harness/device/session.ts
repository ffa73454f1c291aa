import { type Bytes, utf8 } from '../protocol/index.js';
import type { HttpRequest } from '../wire/index.js';
import { type Characteristic, readAccessories } from './accessories.js';
import { Administration } from './administration.js';
import { StepFailed } from './errors.js';
import { type Outcome, describeOutcome } from './outcome.js';

/** A verified session: requests travel in frames. */
export class Session extends Administration {
  /** A request, judged. */
  request(request: HttpRequest, wait = this.controller.judgedWait): Promise<Outcome> {
    return this.link.request(request, wait);
  }

  get(path: string): Promise<Outcome> {
    return this.request({ method: 'GET', path });
  }

  /** GET /accessories of exactly `size` bytes: short header lines fill it up. At least 20 bytes more than a plain one. */
  padded(size: number): Bytes {
    const path = '/accessories';
    const filler: [string, string][] = [];
    let missing = size - this.link.encode({ method: 'GET', path }).length;
    // A line is its name, a colon and a space, the text, and the line end.
    for (const overhead = 'X-Fill: \r\n'.length; missing > 0;) {
      const line = missing < 200 ? missing : 100;
      filler.push(['X-Fill', 'f'.repeat(line - overhead)]);
      missing -= line;
    }
    return this.link.encode({ method: 'GET', path, headers: filler });
  }

  /** Parts of a message, each sealed as one frame with the session's next counter, not sent. */
  sealParts(parts: readonly Bytes[]): Bytes[] {
    const { encoder } = this.link.session;
    return parts.flatMap((part) => encoder.encode(part));
  }

  /** Raw bytes in segments of their own, `gap` ms apart, then the outcome, judged. */
  async sendSegments(segments: readonly Bytes[], gap: number, line: string): Promise<Outcome> {
    this.link.said(line);
    for (const [index, segment] of segments.entries()) {
      if (index > 0) await this.controller.bench.clock.sleep(gap);
      this.link.send(segment);
    }
    return this.link.outcome(this.controller.judgedWait);
  }

  /** The characteristics GET /accessories tells of. @throws StepFailed when it tells nothing that can be read. */
  async characteristics(): Promise<readonly Characteristic[]> {
    const outcome = await this.request({ method: 'GET', path: '/accessories' }, this.controller.stepWait);
    const found = outcome.kind === 'reply' && outcome.sealed ? readAccessories(outcome.http.body) : undefined;
    if (found === undefined)
      throw new StepFailed('PV-M3-01', `GET /accessories was answered by ${describeOutcome(outcome)}`);
    return found;
  }

  /** PUT /characteristics for one of them, judged. */
  put({ aid, iid }: Characteristic, wish: { value?: unknown; ev?: boolean }): Promise<Outcome> {
    return this.request({
      method: 'PUT',
      path: '/characteristics',
      headers: [['Content-Type', 'application/hap+json']],
      body: utf8(JSON.stringify({ characteristics: [{ aid, iid, ...wish }] })),
    });
  }

  /** The frames of a request, sealed with the session's next counters, not sent. */
  seal(request: HttpRequest): Bytes[] {
    return this.link.session.seal(this.link.encode(request));
  }

  /** Raw bytes in one segment, then the outcome, judged. `line` says in words what they are. */
  sendRaw(bytes: Bytes, line: string, wait = this.controller.judgedWait): Promise<Outcome> {
    this.link.said(line);
    this.link.send(bytes);
    return this.link.outcome(wait);
  }
}
