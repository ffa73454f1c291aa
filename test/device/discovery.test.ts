import { expect } from 'chai';
import fc from 'fast-check';
import { describeService } from '../../harness/cli/discover.js';
import {
  ServiceTable,
  isNowhere,
  latestAt,
  parseAddress,
  servicesOf,
  wantedBy,
} from '../../harness/device/index.js';
import { utf8 } from '../../harness/protocol/index.js';
import { type MdnsRecord, readRecord } from '../../harness/wire/index.js';

const TYPE = '_hap._tcp.local';
const kept = { ttl: 120, flush: false };

function lamp(name = 'Lamp', host = 'lamp.local', address = '192.0.2.7'): MdnsRecord[] {
  return [
    { type: 'PTR', name: TYPE, ...kept, data: `${name}.${TYPE}` },
    { type: 'SRV', name: `${name}.${TYPE}`, ...kept, data: { target: host, port: 5001 } },
    {
      type: 'TXT',
      name: `${name}.${TYPE}`,
      ...kept,
      data: ['id=AA:BB:CC:DD:EE:FF', 'sf=1', 'ci=5'].map(utf8),
    },
    { type: 'A', name: host, ttl: 120, flush: true, data: address },
  ];
}

describe('target: discovery', () => {
  it('puts records together, in whatever order they come', () => {
    for (const records of [lamp(), lamp().reverse()]) {
      const table = new ServiceTable();
      for (const record of records) table.learn([record], 5);
      const [{ txt, ...found } = { txt: new Map<string, string>() }, ...others] = table.found;
      expect(others).to.deep.equal([]);
      expect(found).to.deep.equal({
        name: 'Lamp',
        kind: 'hap',
        host: 'lamp.local',
        port: 5001,
        addresses: ['192.0.2.7'],
        at: 5,
      });
      expect(txt.get('sf')).to.equal('1');
    }
  });

  it('tells which services have spoken, forgets what says goodbye, and replaces addresses', () => {
    const table = new ServiceTable();
    expect(table.learn(lamp(), 1).map(({ name }) => name)).to.deep.equal(['Lamp']);
    expect(table.learn(lamp().slice(0, 2), 2)).to.deep.equal([]);
    table.learn([{ type: 'A', name: 'LAMP.local', ttl: 120, flush: true, data: '192.0.2.8' }], 3);
    expect(table.found[0]!.addresses).to.deep.equal(['192.0.2.8']);
    table.learn([{ type: 'PTR', name: TYPE, ttl: 0, flush: false, data: `Lamp.${TYPE}` }], 4);
    expect(table.found).to.deep.equal([]);
  });

  it('gives link-local addresses the network they came from', () => {
    const table = new ServiceTable();
    table.learn([...lamp(), { type: 'AAAA', name: 'lamp.local', ...kept, data: 'fe80::1' }], 1, 'eth0');
    expect(table.found[0]!.addresses).to.deep.equal(['192.0.2.7', 'fe80::1%eth0']);
  });

  it('takes the name that was heard last for the one at a port: behind a factory reset there may be two', () => {
    const table = new ServiceTable();
    table.learn(lamp('Lamp 1A2B'), 1);
    table.learn(lamp('Lamp 3C4D'), 2);
    expect(latestAt(5001, servicesOf('192.0.2.7', table.found))?.name).to.equal('Lamp 3C4D');
    table.learn(lamp('Lamp 1A2B'), 3);
    expect(latestAt(5001, servicesOf('192.0.2.7', table.found))?.name).to.equal('Lamp 1A2B');
    expect(latestAt(5002, servicesOf('192.0.2.7', table.found))).to.equal(undefined);
  });

  it('finds a service by address, host name and instance name', () => {
    const table = new ServiceTable();
    table.learn([...lamp(), ...lamp('Fan', 'fan.local', '192.0.2.9')], 1);
    for (const wanted of ['192.0.2.7', 'lamp', 'lamp.local', 'LAMP'])
      expect(
        servicesOf(wanted, table.found).map(({ name }) => name),
        wanted,
      ).to.deep.equal(['Lamp']);
    expect(servicesOf('192.0.2', table.found)).to.deep.equal([]);
  });

  it('takes for a name what names no port, and nothing else', () => {
    const names = {
      '192.168.1.40': '192.168.1.40',
      'lamp.local': 'lamp.local',
      'Lamp-1': 'Lamp-1',
      '[fe80::1%eth0]': 'fe80::1%eth0',
      'fe80::1%eth0': 'fe80::1%eth0',
      '2001:db8::7': '2001:db8::7',
      '::1': '::1',
      'Kitchen Lamp 2.0': 'Kitchen Lamp 2.0',
      Küche: 'Küche',
      'AA:BB:CC:DD:EE:0F': 'AA:BB:CC:DD:EE:0F',
      'hap://Lamp': 'Lamp',
    };
    for (const [target, name] of Object.entries(names))
      expect(wantedBy(target), target).to.deep.equal({ name, kind: 'hap' });
    expect(wantedBy('airplay://Living Room')).to.deep.equal({ name: 'Living Room', kind: 'airplay' });
    const others = [
      'embedded',
      'embedded:x',
      'a:1',
      '[::1]:1',
      'hap://a:1',
      '',
      'http://a',
      'lamp.local:',
      'a\nb',
    ];
    for (const other of others) expect(wantedBy(other), other).to.equal(undefined);
  });

  it('asks for the interface of a link-local address, and takes it in any spelling', () => {
    expect(() => parseAddress('[fe80::1]:80')).to.throw(/needs its interface, as in \[fe80::1%.+\]; here: /);
    expect(parseAddress('[fe80::1%eth0.100]:80')).to.include({ host: 'fe80::1%eth0.100', port: 80 });
  });

  it('finds a service by the id in its TXT record, in either case', () => {
    const table = new ServiceTable();
    table.learn([...lamp(), ...lamp('Fan', 'fan.local', '192.0.2.9')], 1);
    expect(servicesOf('aa:bb:cc:dd:ee:ff', table.found)).to.have.length(2);
    expect(servicesOf('aa:bb:cc:dd:ee:00', table.found)).to.deep.equal([]);
  });

  it('tells two devices of one id, and two of one name, from a device that was renamed', () => {
    const ids = new ServiceTable();
    ids.learn(lamp(), 1);
    expect(ids.found[0]).to.not.have.property('conflict');
    ids.learn(lamp('Copy', 'copy.local', '192.0.2.9'), 2);
    for (const { conflict } of ids.found)
      expect(conflict).to.match(/two devices have the id AA:BB:CC:DD:EE:FF/);

    const names = new ServiceTable();
    names.learn(lamp(), 1);
    names.learn(lamp('Lamp', 'other.local'), 2);
    expect(names.found[0], 'a host that was renamed').to.not.have.property('conflict');
    names.learn(lamp(), 3);
    expect(names.found[0]!.conflict).to.equal(
      'two devices are called "Lamp", at lamp.local and other.local: one of them has to go',
    );
  });

  it('knows the addresses nobody can be at', () => {
    const nowhere = ['0.0.0.0', '::', '224.0.0.251', 'ff02::fb', '255.255.255.255', '127.0.0.1', '::1'];
    for (const address of nowhere) expect(isNowhere(address, '192.0.2.1'), address).to.be.a('string');
    for (const address of ['192.0.2.7', 'fe80::1%eth0', '2001:db8::1', '10.0.0.1'])
      expect(isNowhere(address, '192.0.2.1'), address).to.equal(undefined);
    expect(isNowhere('127.0.0.1', 'localhost')).to.equal(undefined);
  });

  it('keeps a bounded number of services, whoever floods it', () => {
    const table = new ServiceTable();
    for (let i = 0; i < 2_000; i++) table.learn(lamp(`n${i}`, `h${i}.local`, '192.0.2.1'), 1);
    expect(table.found.length).to.be.at.most(256);
  });

  it('takes anything for a record, and shows nothing a terminal obeys', () => {
    const name = fc.oneof(
      fc.string(),
      fc.constant(TYPE),
      fc.string().map((own) => `${own}.${TYPE}`),
    );
    const data = fc.oneof(
      fc.anything(),
      name,
      fc.array(fc.uint8Array({ maxLength: 255 })),
      fc.record({ target: name, port: fc.nat({ max: 65_535 }) }),
    );
    const type = fc.constantFrom('PTR', 'SRV', 'TXT', 'A', 'AAAA', 'NSEC', 'OPT');
    const answer = fc.oneof(
      fc.anything(),
      fc.record({ type, name, ttl: fc.nat(), flush: fc.boolean(), data }),
    );
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 12 }), (answers) => {
        const table = new ServiceTable();
        table.learn(
          answers.map(readRecord).filter((record) => record !== undefined),
          1,
          'eth0',
        );
        const shown = JSON.stringify(table.found.map(describeService));
        expect(shown).to.not.match(/[\u0000-\u001f\u007f-\u009f]/);
      }),
      { numRuns: 1000 },
    );
  });
});
