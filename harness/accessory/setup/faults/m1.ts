import {
  type Bytes,
  Length,
  TlvError,
  type TlvMessage,
  TlvType,
  isZero,
  tlv,
} from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';
import { succeeds } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';
import type { PairingRequest } from '../../messages/request.js';

type Test = (message: TlvMessage) => boolean;

function isM1(message: TlvMessage): boolean {
  return message.get(TlvType.State)?.[0] === 1;
}

/** The handler of an M1 like this never returns. */
function hangsOn(test: Test): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    answers: (reply) => !(isSetup(reply) && isM1(reply.request) && test(reply.request)) && ok.answers(reply),
  });
}

/** The accessory does not survive an M1 like this. */
function stopsOn(test: Test): (ok: Behaviour) => Partial<Behaviour> {
  const fatal = ({ endpoint, message }: PairingRequest): boolean =>
    endpoint === 'pair-setup' && isM1(message) && test(message);
  return (ok) => ({ survives: (request) => ok.survives(request) && !fatal(request) });
}

function isSetup(reply: Reply): boolean {
  return reply.step === 'setup-m2';
}

function method(message: TlvMessage): number | undefined {
  return message.get(TlvType.Method)?.[0];
}

function flags(message: TlvMessage): Bytes | undefined {
  return message.get(TlvType.Flags);
}

const storedExponent = new Uint8Array(32).fill(0x11);
const storedSalt = Uint8Array.from({ length: Length.salt }, (_, i) => i + 1);

/** Mistakes in the first message of Pair Setup and its answer. */
export const setupM1Faults: readonly Fault[] = [
  fault(
    'public-key-repeats',
    {
      breaks: ['PS-M1-04'],
      fieldBug: 22,
      story: 'the random generator is not initialised: salt and b are the same in every exchange',
    },
    () => ({ drawSalt: () => storedSalt, drawExponent: () => storedExponent }),
  ),
  fault(
    'missing-method-unanswered',
    { breaks: ['PS-M1-07'], story: 'an M1 without Method leaves the handler before it has answered' },
    hangsOn((message) => !message.has(TlvType.Method)),
  ),
  fault(
    'foreign-method-stops-it',
    {
      breaks: ['PS-M1-08'],
      story: 'Method is the index into a table of two handlers, and bounds are not checked',
    },
    stopsOn((message) => (method(message) ?? 0) > 1),
  ),
  fault(
    'method-routes-to-pairings',
    { breaks: ['PS-M1-08'], story: 'Add, Remove and List are dispatched by Method, on whatever path' },
    (ok) => {
      const administers = (reply: Reply): boolean =>
        isSetup(reply) && reply.status === 400 && [3, 4, 5].includes(method(reply.request) ?? 0);
      return {
        status: (reply) => (administers(reply) ? 200 : ok.status(reply)),
        beforeSending: (reply) => (administers(reply) ? [tlv(TlvType.State, 2)] : ok.beforeSending(reply)),
      };
    },
  ),
  fault(
    'method-length-stops-it',
    { breaks: ['PS-M1-09'], story: 'an assertion that Method has one byte ends the process' },
    stopsOn((message) => (message.get(TlvType.Method)?.length ?? 1) !== 1),
  ),
  fault(
    'setup-with-auth-unanswered',
    {
      breaks: ['PS-M1-10', 'PS-M1-14'],
      story: 'PairSetupWithAuth waits for an authentication coprocessor that is not there',
    },
    hangsOn((message) => method(message) === 1),
  ),
  fault(
    'paired-accepts-other-methods',
    {
      breaks: ['PS-M1-14'],
      story: 'only Method 0 asks whether the accessory is paired, and any Method begins Pair Setup',
    },
    (ok) => ({
      setupMethods: [0, 1, 2, 3, 4, 5, 6],
      refusesSetup: (request) =>
        ok.refusesSetup({ ...request, paired: request.paired && (method(request.message) ?? 0) === 0 }),
    }),
  ),
  fault(
    'session-opens-setup',
    { breaks: ['PS-M1-15'], story: 'an admin may begin Pair Setup from within a session' },
    (ok) => ({
      refusesSetup: (request) => ok.refusesSetup({ ...request, paired: request.paired && !request.secured }),
    }),
  ),
  fault(
    'flags-nobody-asked-for',
    {
      breaks: ['PS-M1-05'],
      story: 'M2 tells the flags of the exchange, also where M1 had none: an item of value 0',
    },
    (ok) => ({
      beforeSending: (reply) =>
        isSetup(reply) && succeeds(reply) && flags(reply.request) === undefined
          ? [...ok.beforeSending(reply), tlv(TlvType.Flags, 0)]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'zero-flags-stop-it',
    { breaks: ['PS-M1-16'], story: 'an assertion that Flags holds at least one flag ends the process' },
    stopsOn((message) => {
      const value = flags(message);
      return value !== undefined && isZero(value);
    }),
  ),
  fault(
    'flags-mean-transient',
    {
      breaks: ['PS-M1-16', 'PS-M1-18'],
      story: 'whether Flags are there is asked, not which: M5 finds a transient setup that has ended',
    },
    (ok) => ({
      secretForM5: (exchange) => (exchange.flags === undefined ? ok.secretForM5(exchange) : undefined),
    }),
  ),
  fault(
    'wide-flags-stop-it',
    { breaks: ['PS-M1-17'], story: 'Flags are copied into four bytes, whatever their length' },
    stopsOn((message) => (flags(message)?.length ?? 0) > 4),
  ),
  fault(
    'reserved-flags-stop-it',
    {
      breaks: ['PS-M1-18'],
      story: 'an assertion that Flags holds Transient and Split at most ends the process',
    },
    stopsOn((message) => {
      const value = flags(message);
      return value !== undefined && value.some((byte, i) => (byte & ~([0x10, 0, 0, 0x01][i] ?? 0)) !== 0);
    }),
  ),
  fault(
    'handler-chosen-by-items',
    {
      breaks: ['PS-M1-19'],
      story: 'an Identifier or a Proof in M1 brings in a handler that waits for the exchange it belongs to',
    },
    hangsOn((message) => message.has(TlvType.Identifier) || message.has(TlvType.Proof)),
  ),
  fault(
    'm1-with-later-items-stops-it',
    {
      breaks: ['PS-M1-19'],
      story:
        'EncryptedData and Permissions are handled wherever they come: without a session by a null pointer',
    },
    stopsOn((message) => message.has(TlvType.EncryptedData) || message.has(TlvType.Permissions)),
  ),
  fault(
    'm1-error-echoed',
    { breaks: ['PS-M1-19'], story: 'M2 is written over the items of M1, whose Error stays among them' },
    (ok) => ({
      beforeSending: (reply) =>
        isSetup(reply) && succeeds(reply) && reply.request.has(TlvType.Error)
          ? [...ok.beforeSending(reply), tlv(TlvType.Error, reply.request.error ?? TlvError.Unknown)]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'm4-takes-12-seconds',
    {
      breaks: ['PS-M1-20'],
      fieldBug: 126,
      story: 'SRP takes longer than the ten seconds a phone gives to a step',
    },
    (ok) => ({ takes: (step) => (step === 'setup-m4' ? 12_000 : ok.takes(step)) }),
  ),
  fault(
    'm4-takes-a-minute',
    {
      breaks: ['PS-M1-20'],
      fieldBug: 128,
      story: 'the modular exponentiation is interpreted digit by digit and takes more than a minute',
    },
    (ok) => ({ takes: (step) => (step === 'setup-m4' ? 65_000 : ok.takes(step)) }),
  ),
];
