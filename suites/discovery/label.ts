/**
 * What is printed on the device against what it announces: a phone that has scanned the label looks for the accessory
 * whose announcement fits it. Asked where `--code` is the payload of the label (`X-HM://…`).
 */
import { type CheckContext, chapter, hap } from '../../harness/suite.js';

const title = 'The label agrees with the announcement';
const later = 'The label holds behind restart and reset';

const unchanged = { needs: ['MDNS-01', 'MDNS-08/setup-hash', 'MDNS-08/category'] } as const;

function labelOf({ bench, notApplicable }: CheckContext): hap.Label {
  const none = 'the code was given without its label: --code X-HM://… would tell what is printed';
  return bench.code?.label ?? notApplicable(none);
}

/** The label, and the TXT record as it is announced now. */
async function both(context: CheckContext): Promise<{ label: hap.Label; txt: hap.Txt }> {
  const { bench, notApplicable } = context;
  const label = labelOf(context);
  const found = await bench.options.announcements?.current();
  if (found === undefined) return notApplicable('nothing is announced at this address');
  if (found.conflict !== undefined) return notApplicable(found.conflict);
  return { label, txt: found.txt };
}

/** Base64 of the hash the label leads to: of the id as it is, where that is the one announced, or in upper case. */
function hashFor(setupId: string, id: string, announced: string | undefined): string {
  const right = [id.toUpperCase(), id].map((form) => hap.setupHash(setupId, form));
  return right.find((one) => one === announced) ?? right[0]!;
}

/** Who scans the label finds the accessory still, when `done` is. */
async function stillFits(context: CheckContext, when: string, done: () => Promise<void>): Promise<void> {
  const { expect, observe, notApplicable } = context;
  const { label, txt: before } = await both(context);
  const { setupId, category } = label;
  const asked = setupId !== undefined && before.has('id') && before.has('sh');
  if (!asked && !before.has('ci')) return notApplicable('neither sh nor ci is announced');
  await done();
  const { txt } = await both(context);
  const id = txt.get('id') ?? '';
  if (asked) {
    observe(`id ${when}`, id.toUpperCase() === before.get('id')?.toUpperCase() ? 'kept' : 'renewed');
    const hash = txt.get('sh') ?? 'none';
    expect(hash, `sh ${when}, for the setup id of the label and the id ${id}`).to.equal(
      hashFor(setupId, id, hash),
    );
  }
  expect(hap.txtNumber(txt.get('ci')), `ci ${when}, and the category of the label`).to.equal(category);
}

export default chapter('discovery.label', ({ check }) => [
  check('MDNS-08/setup-hash', title, { from: 'any', needs: ['MDNS-01'] }, async (context) => {
    const { label, txt } = await both(context);
    const { setupId } = label;
    const [id, hash] = [txt.get('id'), txt.get('sh')];
    if (setupId === undefined) return context.notApplicable('the label has no setup id');
    if (id === undefined || hash === undefined)
      return context.notApplicable('the TXT record has no sh, or no id: the label is found by neither');
    context.expect(hash, 'sh for the setup id of the label and the id').to.equal(hashFor(setupId, id, hash));
  }),
  check('MDNS-08/category', title, { from: 'any', needs: ['MDNS-01'] }, async (context) => {
    const { label, txt } = await both(context);
    context
      .expect(hap.txtNumber(txt.get('ci')), 'ci, and the category of the label')
      .to.equal(label.category);
  }),
  check('MDNS-08/transport', title, { from: 'any' }, async (context) => {
    const { flags } = labelOf(context);
    const { Ip, Ble } = hap.LabelFlag;
    const others = [0, 3].filter((bit) => ((flags >> bit) & 1) === 1).map((bit) => `bit ${bit}`);
    const known = [(flags & Ip) !== 0 && 'IP', (flags & Ble) !== 0 && 'BLE'].filter((one) => one !== false);
    context.observe('transports of the label', [...known, ...others].join(', ') || 'none');
    context
      .expect(
        (flags & Ip) !== 0,
        'bit 1 (IP) of the flags of the label, for an accessory that is reached over IP',
      )
      .to.equal(true);
  }),

  check('MDNS-14/restarted', later, { ...unchanged, from: 'any', needsHook: 'restart' }, (context) =>
    stillFits(context, 'behind a restart', () => context.bench.restart()),
  ),
  check('MDNS-14/reset', later, { ...unchanged, from: 'any', needsHook: 'reset' }, (context) =>
    stillFits(context, 'behind a factory reset', () => context.bench.factoryReset()),
  ),
]);
