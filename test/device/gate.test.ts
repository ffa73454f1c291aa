import { expect } from 'chai';
import { type Admission, FREE_AGAIN, Gate, type Outcome, hapProfile } from '../../harness/device/index.js';
import { TlvError, decodeTlv, encodeTlv, errorReply } from '../../harness/protocol/index.js';

const SILENCE: Outcome = { kind: 'silence', elapsed: 10_000 };

function refusal(error: number, status = 200): Outcome {
  const body = encodeTlv(errorReply(2, error));
  const headers = [['Content-Type', hapProfile.mediaType]] as const;
  const http = { startLine: '', version: 'HTTP/1.1', status, method: '', path: '', headers, body };
  return {
    kind: 'reply',
    http: { ...http, framing: 'content-length' },
    tlv: decodeTlv(body),
    sealed: false,
    secured: false,
    profile: hapProfile,
    elapsed: 1,
  };
}

/** Sends M1 for as long as the gate thinks it worth it, and is told Busy each time. @returns how long (ms) that was */
function busyToTheEnd(gate: Gate, alone = true): number {
  let waited = 0;
  for (;;) {
    const pause = gate.pause(waited, alone);
    if (pause === undefined) break;
    waited += pause;
  }
  gate.staysBusy(waited, alone);
  return waited;
}

describe('the gate of Pair Setup', () => {
  let told: Admission[] = [];
  const made = (admitted: number): Gate => {
    told = [];
    const gate = new Gate('Pair Setup', (admission) => told.push(admission));
    for (let i = 0; i < admitted; i++) gate.serves();
    return gate;
  };

  it('that stays Busy is waited for by time once, and then no more', () => {
    const gate = made(1);
    expect(busyToTheEnd(gate)).to.be.within(40_000, 50_000);
    expect(gate.shut?.requirement).to.equal('PS-STATE-10');
    expect(told.at(-1)).to.include({ served: false, shut: gate.shut });
    expect(busyToTheEnd(gate)).to.equal(0);
  });

  it('that is Busy for five seconds again and again is waited for a minute altogether', () => {
    const gate = made(1);
    // It comes free in between, late: each time is one in which it should have been.
    let total = 0;
    for (let times = 0; times < 100; times++) {
      const waited = times === 0 ? FREE_AGAIN : busyToTheEnd(gate);
      total += waited;
      if (gate.shut === undefined) gate.serves(waited);
    }
    expect(total).to.be.below(120_000);
  });

  it('is not blamed for somebody else, nor for a connection of ours', () => {
    for (const [gate, alone] of [
      [made(0), true],
      [made(3), false],
    ] as const) {
      expect(busyToTheEnd(gate, alone)).to.be.within(FREE_AGAIN, FREE_AGAIN + 1_000);
      expect(gate.shut).to.equal(undefined);
    }
  });

  it('is shut by three in a row that were not served, where those before were', () => {
    const gate = made(5);
    gate.refuses(SILENCE);
    gate.refuses(SILENCE);
    gate.serves();
    gate.refuses(SILENCE);
    gate.refuses(refusal(TlvError.Unknown));
    expect(gate.shut).to.equal(undefined);
    gate.refuses(SILENCE);
    expect(gate.shut?.requirement).to.equal('SESS-26');
    gate.open();
    expect(gate.shut).to.equal(undefined);
  });

  it('is not shut by refusals that say why', () => {
    const gate = made(5);
    for (const error of [
      TlvError.Unavailable,
      TlvError.MaxTries,
      TlvError.Backoff,
      TlvError.MaxPeers,
      TlvError.Busy,
    ])
      for (let i = 0; i < 4; i++) gate.refuses(refusal(error));
    for (let i = 0; i < 4; i++) gate.refuses(refusal(TlvError.Unknown, 429));
    expect(gate.shut).to.equal(undefined);
  });
});
