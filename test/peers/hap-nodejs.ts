/**
 * A real accessory: `@homebridge/hap-nodejs` on loopback in a process of its own, without mDNS.
 * `node hap-nodejs.js PORT CODE STORAGE` prints `listening PORT` and runs until it is ended.
 */
import { createRequire } from 'node:module';

const [port = '0', code = '031-45-154', storage = ''] = process.argv.slice(2);

const require = createRequire(import.meta.url);
const nothing = (): void => undefined;
const asynchronously = (): Promise<void> => Promise.resolve();
// The advertiser would multicast: the responder is replaced before the accessory asks for one.
const ciao = createRequire(require.resolve('@homebridge/hap-nodejs'))('@homebridge/ciao') as {
  default: { getResponder: () => unknown };
};
ciao.default.getResponder = () => ({
  createService: () => ({ on: nothing, updatePort: nothing, updateTxt: nothing, advertise: asynchronously }),
  shutdown: asynchronously,
});

const { Accessory, Characteristic, HAPStorage, Service, uuid } = await import('@homebridge/hap-nodejs');
HAPStorage.setCustomStoragePath(storage);
const accessory = new Accessory('hapspec peer', uuid.generate('hapspec.peer'));
const light = accessory.addService(Service.Lightbulb, 'Light');
let on = false;
light
  .getCharacteristic(Characteristic.On)
  .onGet(() => on)
  .onSet((value) => {
    on = Boolean(value);
  });
light.getCharacteristic(Characteristic.Brightness).onGet(() => 50);
accessory.on('listening', (listening: number) => console.log(`listening ${listening}`));
await accessory.publish({
  username: 'CC:22:3D:E3:CE:F6',
  pincode: code,
  category: 5,
  port: Number(port),
  bind: '127.0.0.1',
});
