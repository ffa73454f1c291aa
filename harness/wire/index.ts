/** Sockets and what travels on them. */
export * from './clock.js';
export * from './connection.js';
export * from './http.js';
export * from './limits.js';
export * from './mdns.js';
export * from './questions.js';
export * from './memory.js';
export * from './secure-session.js';
export * from './tcp.js';
export * from './trace.js';
