/**
 * A real accessory: `@homebridge/hap-nodejs` on loopback in a process of its own, without mDNS.
 * `node hap-nodejs.js PORT CODE STORAGE` prints `listening PORT` and runs until it is ended. With a fourth argument
 * it watches over such a process instead: SIGHUP resets it to its factory state, SIGUSR2 restarts it, and the
 * number in that file goes up whenever it listens again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as HapNodejs from '@homebridge/hap-nodejs';

const [port = '0', code = '031-45-154', storage = '', generation] = process.argv.slice(2);
if (generation === undefined) await accessory();
else watchOver(generation);

function watchOver(file: string): void {
  let listening = port;
  let child: ChildProcess | undefined;
  let times = 0;
  const start = (): void => {
    const self = fileURLToPath(import.meta.url);
    child = spawn(process.execPath, [self, listening, code, storage], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, HAPSPEC_PEER_WATCHED: '1' },
    });
    child.stdout!.setEncoding('utf8').on('data', (line: string) => {
      process.stdout.write(line);
      listening = /listening (\d+)/.exec(line)?.[1] ?? listening;
      writeFileSync(file, String(++times));
    });
  };
  const again = (before: () => void): void => {
    child?.once('exit', () => {
      before();
      start();
    });
    child?.kill('SIGKILL');
  };
  process.on('SIGHUP', () => again(() => rmSync(storage, { recursive: true, force: true })));
  process.on('SIGUSR2', () => again(() => undefined));
  process.on('exit', () => child?.kill('SIGKILL'));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
  start();
}

async function accessory(): Promise<void> {
  // Whatever ends the watcher ends its pipe, and this process must not outlive it.
  if (process.env['HAPSPEC_PEER_WATCHED'] === '1') process.stdin.resume().on('end', () => process.exit());
  // Another version of it is taken from the folder where that is installed.
  const name = process.env['HAPSPEC_PEER_PACKAGE'] ?? '@homebridge/hap-nodejs';
  const require = createRequire(process.env['HAPSPEC_PEER_FROM'] ?? import.meta.url);
  const nothing = (): void => undefined;
  const asynchronously = (): Promise<void> => Promise.resolve();
  // The advertiser would multicast: the responder is replaced before the accessory asks for one.
  const ciao = createRequire(require.resolve(name))('@homebridge/ciao') as {
    default: { getResponder: () => unknown };
  };
  ciao.default.getResponder = () => ({
    createService: () => ({
      on: nothing,
      updatePort: nothing,
      updateTxt: nothing,
      advertise: asynchronously,
    }),
    shutdown: asynchronously,
  });

  const { Accessory, Characteristic, HAPStorage, Service, uuid } = require(name) as typeof HapNodejs;
  HAPStorage.setCustomStoragePath(storage);
  const lamp = new Accessory('hapspec peer', uuid.generate('hapspec.peer'));
  const light = lamp.addService(Service.Lightbulb, 'Light');
  let on = false;
  light
    .getCharacteristic(Characteristic.On)
    .onGet(() => on)
    .onSet((value) => {
      on = Boolean(value);
    });
  light.getCharacteristic(Characteristic.Brightness).onGet(() => 50);
  lamp.on('listening', (listening: number) => console.log(`listening ${listening}`));
  await lamp.publish({
    username: process.env['HAPSPEC_PEER_USERNAME'] ?? 'CC:22:3D:E3:CE:F6',
    pincode: code,
    category: 5,
    port: Number(port),
    bind: '127.0.0.1',
    // Some versions would otherwise take another one.
    advertiser: 'ciao' as never,
  });
}
