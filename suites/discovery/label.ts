/**
 * What is printed on the device against what it announces: a phone that has scanned the label looks for the accessory
 * whose announcement fits it. Asked where `--code` is the payload of the label (`X-HM://…`).
 */
import { type CheckContext, chapter, hap } from '../../harness/suite.js';

const title = 'The label agrees with the announcement';

/** The label, and the TXT record as it is announced now. */
async function both({ bench, notApplicable }: CheckContext) {
  const label = bench.code?.label;
  if (label === undefined)
    return notApplicable('the code was given without its label: --code X-HM://… would tell what is printed');
  const found = await bench.options.announcements?.current();
  if (found === undefined) return notApplicable('nothing is announced at this address');
  if (found.conflict !== undefined) return notApplicable(found.conflict);
  return { label, txt: found.txt };
}

export default chapter('discovery.label', ({ check }) => [
  check('MDNS-08/setup-hash', title, { from: 'any', needs: ['MDNS-01'] }, async (context) => {
    const { label, txt } = await both(context);
    const { setupId } = label;
    const [id, hash] = [txt.get('id'), txt.get('sh')];
    if (setupId === undefined) return context.notApplicable('the label has no setup id');
    if (id === undefined || hash === undefined)
      return context.notApplicable('the TXT record has no sh, or no id: the label is found by neither');
    const right = [id.toUpperCase(), id].map((form) => hap.setupHash(setupId, form));
    const expected = right.find((one) => one === hash) ?? right[0];
    context.expect(hash, 'sh for the setup id of the label and the id').to.equal(expected);
  }),
  check('MDNS-08/category', title, { from: 'any', needs: ['MDNS-01'] }, async (context) => {
    const { label, txt } = await both(context);
    context
      .expect(hap.txtNumber(txt.get('ci')), 'ci, and the category of the label')
      .to.equal(label.category);
  }),
]);
