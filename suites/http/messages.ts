import { chapter, closed, served, serverError, success, unauthorised, utf8 } from '../../harness/suite.js';

const json: readonly [string, string][] = [['Content-Type', 'application/hap+json']];
const write = utf8('{"characteristics":[{"aid":1,"iid":9,"value":true}]}');

const requests = {
  'get-accessories': { method: 'GET', path: '/accessories' },
  'get-characteristics': { method: 'GET', path: '/characteristics?id=1.1' },
  'put-characteristics': { method: 'PUT', path: '/characteristics', headers: json, body: write },
  'put-prepare': { method: 'PUT', path: '/prepare', headers: json, body: utf8('{"ttl":1000,"pid":1}') },
  'post-resource': {
    method: 'POST',
    path: '/resource',
    headers: json,
    body: utf8('{"resource-type":"image","image-width":64,"image-height":64}'),
  },
};

const refused = { allow: [unauthorised()], tolerate: [serverError(), closed()], forbid: [served()] };

/** A FIN travels right behind the answer; this is long enough to see it on any network. */
const FIN_WAIT = 100;

export default chapter('http.messages', ({ check }) => [
  ...Object.entries(requests).map(([name, request]) =>
    check(
      `HTTP-05/${name}`,
      { from: 'paired', keyless: true, costs: { verifies: 1 }, ...refused },
      async ({ controller, bench, expect }) => {
        const link = await controller.open();
        expect(await controller.request(link, request)).to.be.allowed();
        // Pair Verify on the same connection works, or the accessory closed it.
        if (bench.admin !== undefined && (await link.stillOpen(50))) await controller.session({ link });
      },
    ),
  ),
  check(
    'HTTP-05/get-accessories-when-unpaired',
    { from: 'unpaired', ...refused },
    async ({ controller, expect }) => {
      expect(await controller.request(await controller.open(), requests['get-accessories'])).to.be.allowed();
    },
  ),
  ...(['after-verify-m2', 'after-a-failed-verify'] as const).map((moment) =>
    check(
      `HTTP-05/get-accessories-${moment}`,
      { from: 'paired', keyless: true, costs: { verifies: 1 }, ...refused },
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify({ as: controller.newIdentity() });
        if (moment === 'after-a-failed-verify') await verify.sendM3();
        expect(await controller.request(verify.link, requests['get-accessories'])).to.be.allowed();
      },
    ),
  ),

  check(
    'HTTP-10',
    { from: 'unpaired', leaves: 'paired', costs: { m2: 1, m4: 1, m6: 1 }, allow: [success('setup-m6')] },
    async ({ controller, expect, violate }) => {
      const setup = await controller.pairSetup();
      if (!(await setup.link.stillOpen(FIN_WAIT))) violate('the accessory closed the connection after M2');
      await setup.m3();
      if (!(await setup.link.stillOpen(FIN_WAIT))) violate('the accessory closed the connection after M4');
      const outcome = await setup.sendM5();
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply') setup.readM6(outcome);
    },
  ),
]);
