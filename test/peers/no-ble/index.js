'use strict';
module.exports = { on() {}, once() {}, removeListener() {} };
