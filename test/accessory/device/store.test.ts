import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { fileStore } from '../../../harness/accessory/index.js';
import { InputError, hex } from '../../../harness/protocol/index.js';
import { Bench, wrongCode } from '../driver.js';

describe('accessory: file store', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hapspec-accessory-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('keeps identity, pairings and failed attempts over a restart, readable by the owner only', () => {
    const before = new Bench({ store: fileStore(join(directory, 'deep')) });
    const line = before.line();
    const setup = before.setup(before.controller('mallory'), wrongCode.dashed);
    line.startSetup(setup);
    line.tlv('/pair-setup', setup.m3());
    const counted = new Bench({ store: fileStore(join(directory, 'deep')) });
    expect(counted.accessory.failedAttempts).to.equal(1);
    const { controller, accessory } = counted.pair();
    const after = new Bench({ store: fileStore(join(directory, 'deep')) });
    expect(hex(after.accessory.identity.id)).to.equal(hex(accessory.id));
    expect(after.accessory.failedAttempts).to.equal(0);
    expect(after.list(after.verify(controller, accessory))).to.have.length(1);
    expect(statSync(join(directory, 'deep', 'accessory.json')).mode & 0o777).to.equal(0o600);
  });

  it('names the file and the fix when the file is corrupt', () => {
    const file = join(directory, 'accessory.json');
    new Bench({ store: fileStore(directory) });
    const good = readFileSync(file, 'utf8');
    for (const content of [
      '',
      '{',
      '[]',
      good.slice(0, -20),
      good.replace(/"ltsk": "../, '"ltsk": "'),
      '{"id":"zz"}',
    ]) {
      writeFileSync(file, content);
      expect(() => new Bench({ store: fileStore(directory) }))
        .to.throw(InputError, file)
        .with.property('message')
        .that.contains('delete it');
    }
  });
});
