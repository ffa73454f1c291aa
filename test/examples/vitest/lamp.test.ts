import { describeConformance } from 'hapspec/vitest';

// A lamp on the desk would be its address: '192.168.1.40:51826'.
const target = process.env['LAMP'] ?? 'embedded';

describeConformance(target, { only: ['PS-M3-0*'], seed: 1 });
