var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __commonJS = (cb, mod) => function __require() {
  try {
    return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
  } catch (e4) {
    throw mod = 0, e4;
  }
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target2) => (target2 = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target2, "default", { value: mod, enumerable: true }) : target2,
  mod
));

// node_modules/wildcard/index.js
var require_wildcard = __commonJS({
  "node_modules/wildcard/index.js"(exports, module) {
    "use strict";
    function WildcardMatcher(text, separator2) {
      this.text = text = text || "";
      this.hasWild = ~text.indexOf("*");
      this.separator = separator2;
      this.parts = text.split(separator2);
    }
    WildcardMatcher.prototype.match = function(input) {
      var matches = true;
      var parts = this.parts;
      var ii;
      var partsCount = parts.length;
      var testParts;
      if (typeof input == "string" || input instanceof String) {
        if (!this.hasWild && this.text != input) {
          matches = false;
        } else {
          testParts = (input || "").split(this.separator);
          for (ii = 0; matches && ii < partsCount; ii++) {
            if (parts[ii] === "*") {
              continue;
            } else if (ii < testParts.length) {
              matches = parts[ii] === testParts[ii];
            } else {
              matches = false;
            }
          }
          matches = matches && testParts;
        }
      } else if (typeof input.splice == "function") {
        matches = [];
        for (ii = input.length; ii--; ) {
          if (this.match(input[ii])) {
            matches[matches.length] = input[ii];
          }
        }
      } else if (typeof input == "object") {
        matches = {};
        for (var key in input) {
          if (this.match(key)) {
            matches[key] = input[key];
          }
        }
      }
      return matches;
    };
    module.exports = function(text, test, separator2) {
      var matcher = new WildcardMatcher(text, separator2 || /[\/\.]/);
      if (typeof test != "undefined") {
        return matcher.match(test);
      }
      return matcher;
    };
  }
});

// node_modules/mime-match/index.js
var require_mime_match = __commonJS({
  "node_modules/mime-match/index.js"(exports, module) {
    var wildcard = require_wildcard();
    var reMimePartSplit = /[\/\+\.]/;
    module.exports = function(target2, pattern) {
      function test(pattern2) {
        var result = wildcard(pattern2, target2, reMimePartSplit);
        return result && result.length >= 2;
      }
      return pattern ? test(pattern.split(";")[0]) : test;
    };
  }
});

// node_modules/lodash/isObject.js
var require_isObject = __commonJS({
  "node_modules/lodash/isObject.js"(exports, module) {
    function isObject(value) {
      var type = typeof value;
      return value != null && (type == "object" || type == "function");
    }
    module.exports = isObject;
  }
});

// node_modules/lodash/_freeGlobal.js
var require_freeGlobal = __commonJS({
  "node_modules/lodash/_freeGlobal.js"(exports, module) {
    var freeGlobal = typeof global == "object" && global && global.Object === Object && global;
    module.exports = freeGlobal;
  }
});

// node_modules/lodash/_root.js
var require_root = __commonJS({
  "node_modules/lodash/_root.js"(exports, module) {
    var freeGlobal = require_freeGlobal();
    var freeSelf = typeof self == "object" && self && self.Object === Object && self;
    var root = freeGlobal || freeSelf || Function("return this")();
    module.exports = root;
  }
});

// node_modules/lodash/now.js
var require_now = __commonJS({
  "node_modules/lodash/now.js"(exports, module) {
    var root = require_root();
    var now = function() {
      return root.Date.now();
    };
    module.exports = now;
  }
});

// node_modules/lodash/_trimmedEndIndex.js
var require_trimmedEndIndex = __commonJS({
  "node_modules/lodash/_trimmedEndIndex.js"(exports, module) {
    var reWhitespace = /\s/;
    function trimmedEndIndex(string) {
      var index = string.length;
      while (index-- && reWhitespace.test(string.charAt(index))) {
      }
      return index;
    }
    module.exports = trimmedEndIndex;
  }
});

// node_modules/lodash/_baseTrim.js
var require_baseTrim = __commonJS({
  "node_modules/lodash/_baseTrim.js"(exports, module) {
    var trimmedEndIndex = require_trimmedEndIndex();
    var reTrimStart = /^\s+/;
    function baseTrim(string) {
      return string ? string.slice(0, trimmedEndIndex(string) + 1).replace(reTrimStart, "") : string;
    }
    module.exports = baseTrim;
  }
});

// node_modules/lodash/_Symbol.js
var require_Symbol = __commonJS({
  "node_modules/lodash/_Symbol.js"(exports, module) {
    var root = require_root();
    var Symbol2 = root.Symbol;
    module.exports = Symbol2;
  }
});

// node_modules/lodash/_getRawTag.js
var require_getRawTag = __commonJS({
  "node_modules/lodash/_getRawTag.js"(exports, module) {
    var Symbol2 = require_Symbol();
    var objectProto = Object.prototype;
    var hasOwnProperty = objectProto.hasOwnProperty;
    var nativeObjectToString = objectProto.toString;
    var symToStringTag = Symbol2 ? Symbol2.toStringTag : void 0;
    function getRawTag(value) {
      var isOwn = hasOwnProperty.call(value, symToStringTag), tag = value[symToStringTag];
      try {
        value[symToStringTag] = void 0;
        var unmasked = true;
      } catch (e4) {
      }
      var result = nativeObjectToString.call(value);
      if (unmasked) {
        if (isOwn) {
          value[symToStringTag] = tag;
        } else {
          delete value[symToStringTag];
        }
      }
      return result;
    }
    module.exports = getRawTag;
  }
});

// node_modules/lodash/_objectToString.js
var require_objectToString = __commonJS({
  "node_modules/lodash/_objectToString.js"(exports, module) {
    var objectProto = Object.prototype;
    var nativeObjectToString = objectProto.toString;
    function objectToString(value) {
      return nativeObjectToString.call(value);
    }
    module.exports = objectToString;
  }
});

// node_modules/lodash/_baseGetTag.js
var require_baseGetTag = __commonJS({
  "node_modules/lodash/_baseGetTag.js"(exports, module) {
    var Symbol2 = require_Symbol();
    var getRawTag = require_getRawTag();
    var objectToString = require_objectToString();
    var nullTag = "[object Null]";
    var undefinedTag = "[object Undefined]";
    var symToStringTag = Symbol2 ? Symbol2.toStringTag : void 0;
    function baseGetTag(value) {
      if (value == null) {
        return value === void 0 ? undefinedTag : nullTag;
      }
      return symToStringTag && symToStringTag in Object(value) ? getRawTag(value) : objectToString(value);
    }
    module.exports = baseGetTag;
  }
});

// node_modules/lodash/isObjectLike.js
var require_isObjectLike = __commonJS({
  "node_modules/lodash/isObjectLike.js"(exports, module) {
    function isObjectLike(value) {
      return value != null && typeof value == "object";
    }
    module.exports = isObjectLike;
  }
});

// node_modules/lodash/isSymbol.js
var require_isSymbol = __commonJS({
  "node_modules/lodash/isSymbol.js"(exports, module) {
    var baseGetTag = require_baseGetTag();
    var isObjectLike = require_isObjectLike();
    var symbolTag = "[object Symbol]";
    function isSymbol(value) {
      return typeof value == "symbol" || isObjectLike(value) && baseGetTag(value) == symbolTag;
    }
    module.exports = isSymbol;
  }
});

// node_modules/lodash/toNumber.js
var require_toNumber = __commonJS({
  "node_modules/lodash/toNumber.js"(exports, module) {
    var baseTrim = require_baseTrim();
    var isObject = require_isObject();
    var isSymbol = require_isSymbol();
    var NAN = 0 / 0;
    var reIsBadHex = /^[-+]0x[0-9a-f]+$/i;
    var reIsBinary = /^0b[01]+$/i;
    var reIsOctal = /^0o[0-7]+$/i;
    var freeParseInt = parseInt;
    function toNumber(value) {
      if (typeof value == "number") {
        return value;
      }
      if (isSymbol(value)) {
        return NAN;
      }
      if (isObject(value)) {
        var other = typeof value.valueOf == "function" ? value.valueOf() : value;
        value = isObject(other) ? other + "" : other;
      }
      if (typeof value != "string") {
        return value === 0 ? value : +value;
      }
      value = baseTrim(value);
      var isBinary = reIsBinary.test(value);
      return isBinary || reIsOctal.test(value) ? freeParseInt(value.slice(2), isBinary ? 2 : 8) : reIsBadHex.test(value) ? NAN : +value;
    }
    module.exports = toNumber;
  }
});

// node_modules/lodash/debounce.js
var require_debounce = __commonJS({
  "node_modules/lodash/debounce.js"(exports, module) {
    var isObject = require_isObject();
    var now = require_now();
    var toNumber = require_toNumber();
    var FUNC_ERROR_TEXT = "Expected a function";
    var nativeMax = Math.max;
    var nativeMin = Math.min;
    function debounce4(func, wait, options) {
      var lastArgs, lastThis, maxWait, result, timerId, lastCallTime, lastInvokeTime = 0, leading = false, maxing = false, trailing = true;
      if (typeof func != "function") {
        throw new TypeError(FUNC_ERROR_TEXT);
      }
      wait = toNumber(wait) || 0;
      if (isObject(options)) {
        leading = !!options.leading;
        maxing = "maxWait" in options;
        maxWait = maxing ? nativeMax(toNumber(options.maxWait) || 0, wait) : maxWait;
        trailing = "trailing" in options ? !!options.trailing : trailing;
      }
      function invokeFunc(time) {
        var args = lastArgs, thisArg = lastThis;
        lastArgs = lastThis = void 0;
        lastInvokeTime = time;
        result = func.apply(thisArg, args);
        return result;
      }
      function leadingEdge(time) {
        lastInvokeTime = time;
        timerId = setTimeout(timerExpired, wait);
        return leading ? invokeFunc(time) : result;
      }
      function remainingWait(time) {
        var timeSinceLastCall = time - lastCallTime, timeSinceLastInvoke = time - lastInvokeTime, timeWaiting = wait - timeSinceLastCall;
        return maxing ? nativeMin(timeWaiting, maxWait - timeSinceLastInvoke) : timeWaiting;
      }
      function shouldInvoke(time) {
        var timeSinceLastCall = time - lastCallTime, timeSinceLastInvoke = time - lastInvokeTime;
        return lastCallTime === void 0 || timeSinceLastCall >= wait || timeSinceLastCall < 0 || maxing && timeSinceLastInvoke >= maxWait;
      }
      function timerExpired() {
        var time = now();
        if (shouldInvoke(time)) {
          return trailingEdge(time);
        }
        timerId = setTimeout(timerExpired, remainingWait(time));
      }
      function trailingEdge(time) {
        timerId = void 0;
        if (trailing && lastArgs) {
          return invokeFunc(time);
        }
        lastArgs = lastThis = void 0;
        return result;
      }
      function cancel() {
        if (timerId !== void 0) {
          clearTimeout(timerId);
        }
        lastInvokeTime = 0;
        lastArgs = lastCallTime = lastThis = timerId = void 0;
      }
      function flush() {
        return timerId === void 0 ? result : trailingEdge(now());
      }
      function debounced() {
        var time = now(), isInvoking = shouldInvoke(time);
        lastArgs = arguments;
        lastThis = this;
        lastCallTime = time;
        if (isInvoking) {
          if (timerId === void 0) {
            return leadingEdge(lastCallTime);
          }
          if (maxing) {
            clearTimeout(timerId);
            timerId = setTimeout(timerExpired, wait);
            return invokeFunc(lastCallTime);
          }
        }
        if (timerId === void 0) {
          timerId = setTimeout(timerExpired, wait);
        }
        return result;
      }
      debounced.cancel = cancel;
      debounced.flush = flush;
      return debounced;
    }
    module.exports = debounce4;
  }
});

// node_modules/lodash/throttle.js
var require_throttle = __commonJS({
  "node_modules/lodash/throttle.js"(exports, module) {
    var debounce4 = require_debounce();
    var isObject = require_isObject();
    var FUNC_ERROR_TEXT = "Expected a function";
    function throttle2(func, wait, options) {
      var leading = true, trailing = true;
      if (typeof func != "function") {
        throw new TypeError(FUNC_ERROR_TEXT);
      }
      if (isObject(options)) {
        leading = "leading" in options ? !!options.leading : leading;
        trailing = "trailing" in options ? !!options.trailing : trailing;
      }
      return debounce4(func, wait, {
        "leading": leading,
        "maxWait": wait,
        "trailing": trailing
      });
    }
    module.exports = throttle2;
  }
});

// node_modules/namespace-emitter/index.js
var require_namespace_emitter = __commonJS({
  "node_modules/namespace-emitter/index.js"(exports, module) {
    module.exports = function createNamespaceEmitter() {
      var emitter = {};
      var _fns = emitter._fns = {};
      emitter.emit = function emit(event, arg1, arg2, arg3, arg4, arg5, arg6) {
        var toEmit = getListeners(event);
        if (toEmit.length) {
          emitAll(event, toEmit, [arg1, arg2, arg3, arg4, arg5, arg6]);
        }
      };
      emitter.on = function on(event, fn) {
        if (!_fns[event]) {
          _fns[event] = [];
        }
        _fns[event].push(fn);
      };
      emitter.once = function once(event, fn) {
        function one() {
          fn.apply(this, arguments);
          emitter.off(event, one);
        }
        this.on(event, one);
      };
      emitter.off = function off(event, fn) {
        var keep = [];
        if (event && fn) {
          var fns = this._fns[event];
          var i4 = 0;
          var l4 = fns ? fns.length : 0;
          for (i4; i4 < l4; i4++) {
            if (fns[i4] !== fn) {
              keep.push(fns[i4]);
            }
          }
        }
        keep.length ? this._fns[event] = keep : delete this._fns[event];
      };
      function getListeners(e4) {
        var out = _fns[e4] ? _fns[e4] : [];
        var idx = e4.indexOf(":");
        var args = idx === -1 ? [e4] : [e4.substring(0, idx), e4.substring(idx + 1)];
        var keys2 = Object.keys(_fns);
        var i4 = 0;
        var l4 = keys2.length;
        for (i4; i4 < l4; i4++) {
          var key = keys2[i4];
          if (key === "*") {
            out = out.concat(_fns[key]);
          }
          if (args.length === 2 && args[0] === key) {
            out = out.concat(_fns[key]);
            break;
          }
        }
        return out;
      }
      function emitAll(e4, fns, args) {
        var i4 = 0;
        var l4 = fns.length;
        for (i4; i4 < l4; i4++) {
          if (!fns[i4]) break;
          fns[i4].event = e4;
          fns[i4].apply(fns[i4], args);
        }
      }
      return emitter;
    };
  }
});

// node_modules/classnames/index.js
var require_classnames = __commonJS({
  "node_modules/classnames/index.js"(exports, module) {
    (function() {
      "use strict";
      var hasOwn = {}.hasOwnProperty;
      function classNames17() {
        var classes = "";
        for (var i4 = 0; i4 < arguments.length; i4++) {
          var arg = arguments[i4];
          if (arg) {
            classes = appendClass(classes, parseValue(arg));
          }
        }
        return classes;
      }
      function parseValue(arg) {
        if (typeof arg === "string" || typeof arg === "number") {
          return arg;
        }
        if (typeof arg !== "object") {
          return "";
        }
        if (Array.isArray(arg)) {
          return classNames17.apply(null, arg);
        }
        if (arg.toString !== Object.prototype.toString && !arg.toString.toString().includes("[native code]")) {
          return arg.toString();
        }
        var classes = "";
        for (var key in arg) {
          if (hasOwn.call(arg, key) && arg[key]) {
            classes = appendClass(classes, key);
          }
        }
        return classes;
      }
      function appendClass(value, newClass) {
        if (!newClass) {
          return value;
        }
        if (value) {
          return value + " " + newClass;
        }
        return value + newClass;
      }
      if (typeof module !== "undefined" && module.exports) {
        classNames17.default = classNames17;
        module.exports = classNames17;
      } else if (typeof define === "function" && typeof define.amd === "object" && define.amd) {
        define("classnames", [], function() {
          return classNames17;
        });
      } else {
        window.classNames = classNames17;
      }
    })();
  }
});

// node_modules/eventemitter3/index.js
var require_eventemitter3 = __commonJS({
  "node_modules/eventemitter3/index.js"(exports, module) {
    "use strict";
    var has = Object.prototype.hasOwnProperty;
    var prefix = "~";
    function Events() {
    }
    if (Object.create) {
      Events.prototype = /* @__PURE__ */ Object.create(null);
      if (!new Events().__proto__) prefix = false;
    }
    function EE(fn, context, once) {
      this.fn = fn;
      this.context = context;
      this.once = once || false;
    }
    function addListener(emitter, event, fn, context, once) {
      if (typeof fn !== "function") {
        throw new TypeError("The listener must be a function");
      }
      var listener = new EE(fn, context || emitter, once), evt = prefix ? prefix + event : event;
      if (!emitter._events[evt]) emitter._events[evt] = listener, emitter._eventsCount++;
      else if (!emitter._events[evt].fn) emitter._events[evt].push(listener);
      else emitter._events[evt] = [emitter._events[evt], listener];
      return emitter;
    }
    function clearEvent(emitter, evt) {
      if (--emitter._eventsCount === 0) emitter._events = new Events();
      else delete emitter._events[evt];
    }
    function EventEmitter2() {
      this._events = new Events();
      this._eventsCount = 0;
    }
    EventEmitter2.prototype.eventNames = function eventNames() {
      var names = [], events, name;
      if (this._eventsCount === 0) return names;
      for (name in events = this._events) {
        if (has.call(events, name)) names.push(prefix ? name.slice(1) : name);
      }
      if (Object.getOwnPropertySymbols) {
        return names.concat(Object.getOwnPropertySymbols(events));
      }
      return names;
    };
    EventEmitter2.prototype.listeners = function listeners(event) {
      var evt = prefix ? prefix + event : event, handlers = this._events[evt];
      if (!handlers) return [];
      if (handlers.fn) return [handlers.fn];
      for (var i4 = 0, l4 = handlers.length, ee3 = new Array(l4); i4 < l4; i4++) {
        ee3[i4] = handlers[i4].fn;
      }
      return ee3;
    };
    EventEmitter2.prototype.listenerCount = function listenerCount(event) {
      var evt = prefix ? prefix + event : event, listeners = this._events[evt];
      if (!listeners) return 0;
      if (listeners.fn) return 1;
      return listeners.length;
    };
    EventEmitter2.prototype.emit = function emit(event, a1, a22, a32, a4, a5) {
      var evt = prefix ? prefix + event : event;
      if (!this._events[evt]) return false;
      var listeners = this._events[evt], len = arguments.length, args, i4;
      if (listeners.fn) {
        if (listeners.once) this.removeListener(event, listeners.fn, void 0, true);
        switch (len) {
          case 1:
            return listeners.fn.call(listeners.context), true;
          case 2:
            return listeners.fn.call(listeners.context, a1), true;
          case 3:
            return listeners.fn.call(listeners.context, a1, a22), true;
          case 4:
            return listeners.fn.call(listeners.context, a1, a22, a32), true;
          case 5:
            return listeners.fn.call(listeners.context, a1, a22, a32, a4), true;
          case 6:
            return listeners.fn.call(listeners.context, a1, a22, a32, a4, a5), true;
        }
        for (i4 = 1, args = new Array(len - 1); i4 < len; i4++) {
          args[i4 - 1] = arguments[i4];
        }
        listeners.fn.apply(listeners.context, args);
      } else {
        var length = listeners.length, j4;
        for (i4 = 0; i4 < length; i4++) {
          if (listeners[i4].once) this.removeListener(event, listeners[i4].fn, void 0, true);
          switch (len) {
            case 1:
              listeners[i4].fn.call(listeners[i4].context);
              break;
            case 2:
              listeners[i4].fn.call(listeners[i4].context, a1);
              break;
            case 3:
              listeners[i4].fn.call(listeners[i4].context, a1, a22);
              break;
            case 4:
              listeners[i4].fn.call(listeners[i4].context, a1, a22, a32);
              break;
            default:
              if (!args) for (j4 = 1, args = new Array(len - 1); j4 < len; j4++) {
                args[j4 - 1] = arguments[j4];
              }
              listeners[i4].fn.apply(listeners[i4].context, args);
          }
        }
      }
      return true;
    };
    EventEmitter2.prototype.on = function on(event, fn, context) {
      return addListener(this, event, fn, context, false);
    };
    EventEmitter2.prototype.once = function once(event, fn, context) {
      return addListener(this, event, fn, context, true);
    };
    EventEmitter2.prototype.removeListener = function removeListener(event, fn, context, once) {
      var evt = prefix ? prefix + event : event;
      if (!this._events[evt]) return this;
      if (!fn) {
        clearEvent(this, evt);
        return this;
      }
      var listeners = this._events[evt];
      if (listeners.fn) {
        if (listeners.fn === fn && (!once || listeners.once) && (!context || listeners.context === context)) {
          clearEvent(this, evt);
        }
      } else {
        for (var i4 = 0, events = [], length = listeners.length; i4 < length; i4++) {
          if (listeners[i4].fn !== fn || once && !listeners[i4].once || context && listeners[i4].context !== context) {
            events.push(listeners[i4]);
          }
        }
        if (events.length) this._events[evt] = events.length === 1 ? events[0] : events;
        else clearEvent(this, evt);
      }
      return this;
    };
    EventEmitter2.prototype.removeAllListeners = function removeAllListeners(event) {
      var evt;
      if (event) {
        evt = prefix ? prefix + event : event;
        if (this._events[evt]) clearEvent(this, evt);
      } else {
        this._events = new Events();
        this._eventsCount = 0;
      }
      return this;
    };
    EventEmitter2.prototype.off = EventEmitter2.prototype.removeListener;
    EventEmitter2.prototype.addListener = EventEmitter2.prototype.on;
    EventEmitter2.prefixed = prefix;
    EventEmitter2.EventEmitter = EventEmitter2;
    if ("undefined" !== typeof module) {
      module.exports = EventEmitter2;
    }
  }
});

// node_modules/@partway/upload/dist/errors.js
var UploadError = class extends Error {
  /** A reason of the service such as "UPLOAD_TOKEN_EXPIRED", or a ClientReason; "" if an answer had none. */
  reason;
  /** The HTTP status of the answer; 0 without one. */
  status;
  /** What the service says about the reason, as `ErrorReason` documents it. */
  metadata;
  /** How long the service asks to wait before the call is repeated, in milliseconds. */
  retryAfterMs;
  /** Whether the same call may succeed later. */
  retryable;
  constructor(reason, message, details = {}) {
    super(message);
    this.name = "UploadError";
    this.reason = reason;
    this.status = details.status ?? 0;
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
    this.retryable = details.retryable ?? false;
  }
};
var NoResponseError = class extends Error {
  constructor(problem) {
    super(problem);
    this.name = "NoResponseError";
  }
};
var RETRYABLE_STATUSES = /* @__PURE__ */ new Set([408, 429, 502, 503, 504]);
var RETRYABLE_CODES = /* @__PURE__ */ new Set([1, 4, 8, 14]);
var RETRYABLE_REASONS = /* @__PURE__ */ new Set(["UPLOAD_BUSY", "PART_CHANGED", "PART_TOO_SLOW"]);
var LONGEST_QUOTA_WAIT_MS = 6e5;
function errorOfAnswer(status, body) {
  const parsed = parseStatus(body);
  if (parsed === void 0) {
    return new UploadError("", `the gateway answers ${status}`, { status, retryable: RETRYABLE_STATUSES.has(status) });
  }
  const info = detailOf(parsed, "google.rpc.ErrorInfo");
  const reason = (info?.reason ?? "").replace(/^ERROR_REASON_/, "");
  const retryAfterMs = milliseconds(detailOf(parsed, "google.rpc.RetryInfo")?.retryDelay);
  const retryable = reason === "QUOTA_EXCEEDED" ? retryAfterMs !== void 0 && retryAfterMs <= LONGEST_QUOTA_WAIT_MS : RETRYABLE_CODES.has(parsed.code) || RETRYABLE_REASONS.has(reason);
  return new UploadError(reason, parsed.message || `the gateway answers ${status}`, {
    status,
    retryable,
    metadata: info?.metadata ?? {},
    ...retryAfterMs === void 0 ? {} : { retryAfterMs }
  });
}
function milliseconds(duration2) {
  const seconds = duration2?.endsWith("s") ? Number(duration2.slice(0, -1)) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1e3 : void 0;
}
function parseStatus(body) {
  try {
    const parsed = JSON.parse(body);
    const known = typeof parsed === "object" && parsed !== null && typeof parsed.code === "number";
    return known ? parsed : void 0;
  } catch {
    return void 0;
  }
}
function detailOf(status, type) {
  return status.details?.find((detail) => detail["@type"]?.endsWith(`/${type}`));
}

// node_modules/@partway/upload/dist/resume_store.js
function describeFile(file) {
  const { name = "", lastModified = 0 } = file;
  return { name, size: file.size, lastModified };
}
function isSameFile(record, file) {
  const { name, size, lastModified } = describeFile(file);
  return record.file.name === name && record.file.size === size && record.file.lastModified === lastModified;
}
async function findUpload(store, file) {
  return (await store.list()).find((record) => isSameFile(record, file));
}

// node_modules/@partway/upload/dist/gateway.js
var CALL_TIMEOUT_MS = 9e4;
var PROBE_TIMEOUT_MS = 1e4;
var FIRST_TRIES = 4;
var MOST_RENEWALS = 3;
var RENEWABLE = /* @__PURE__ */ new Set(["UPLOAD_TOKEN_EXPIRED", "CREDENTIALS_REJECTED", "CALLER_UNKNOWN"]);
var Gateway = class {
  #runtime;
  #retry;
  #base;
  #renewToken;
  #token;
  #renewal;
  #renewals = 0;
  #answered = false;
  constructor(options, runtime, retry) {
    this.#runtime = runtime;
    this.#retry = retry;
    this.#base = `${options.gateway.replace(/\/+$/, "")}/v1/uploads/${encodeURIComponent(options.uploadId)}`;
    this.#token = options.token;
    this.#renewToken = options.renewToken;
  }
  status(signal, withProgress) {
    return this.#call("GET", withProgress ? "?view=STATUS_VIEW_PROGRESS" : "", void 0, signal);
  }
  async presign(ranges, checksums, signal) {
    const { parts } = await this.#call("POST", ":batchPresignParts", { ranges, checksums }, signal);
    return parts;
  }
  async report(parts, signal) {
    await this.#call("POST", "/parts:report", { parts }, signal);
  }
  async complete(signal) {
    return (await this.#call("POST", ":complete", {}, signal)).upload;
  }
  async abort(signal) {
    return (await this.#call("POST", ":abort", {}, signal)).upload;
  }
  /** Send one part through the service, once. Rejects with UploadError or NoResponseError. */
  async putPart(part, signal) {
    const query = part.checksum === void 0 ? "" : `?checksum=${encodeURIComponent(part.checksum)}`;
    const used = await this.#currentToken();
    const answer = await this.#runtime.sendBody({
      method: "PUT",
      url: `${this.#base}/parts/${part.partNumber}${query}`,
      headers: { authorization: `Partway ${used}`, "content-type": "application/octet-stream" },
      body: part.body,
      onSent: part.onSent,
      signal
    });
    if (answer.status === 200) {
      this.#succeeded();
      return;
    }
    const error = errorOfAnswer(answer.status, answer.text);
    if (!this.#renewable(error))
      throw error;
    await this.#renew(used);
    await this.putPart(part, signal);
  }
  /** Return whether the gateway answers at all, whatever it says. */
  async answers(signal) {
    try {
      await this.#send("GET", "", void 0, signal, PROBE_TIMEOUT_MS);
      return true;
    } catch (error) {
      if (error instanceof NoResponseError)
        return false;
      throw error;
    }
  }
  async #call(method, path, body, signal) {
    for (let failures = 1; ; failures++) {
      const used = await this.#currentToken();
      const error = await this.#try(method, path, body, signal);
      if (!(error instanceof UploadError))
        return error;
      if (this.#renewable(error)) {
        await this.#renew(used);
        continue;
      }
      const hopeless = this.#retry.isExhausted(failures) || !this.#answered && failures >= FIRST_TRIES;
      if (!error.retryable || hopeless)
        throw error;
      await this.#retry.backOff(failures, signal, error.retryAfterMs);
    }
  }
  /** Return the answer, or the error to judge. */
  async #try(method, path, body, signal) {
    try {
      const { status, text } = await this.#send(method, path, body, signal, CALL_TIMEOUT_MS);
      if (status !== 200)
        return errorOfAnswer(status, text);
      const answer = JSON.parse(text);
      this.#succeeded();
      return answer;
    } catch (error) {
      if (error instanceof NoResponseError) {
        const message = "no answer from the gateway; check its address, and that it allows this page's origin";
        return new UploadError("GATEWAY_UNREACHABLE", message, { retryable: true });
      }
      if (error instanceof SyntaxError) {
        return new UploadError("INVALID_RESPONSE", "the gateway's answer is not JSON; check its address");
      }
      throw error;
    }
  }
  async #send(method, path, body, signal, timeoutMs) {
    const headers = { authorization: `Partway ${await this.#currentToken()}` };
    if (body !== void 0)
      headers["content-type"] = "application/json";
    try {
      const response = await this.#runtime.fetch(this.#base + path, {
        method,
        headers,
        ...body === void 0 ? {} : { body: JSON.stringify(body) },
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        // Never cookies: the token alone says who calls.
        credentials: "omit",
        cache: "no-store"
      });
      return { status: response.status, text: await response.text() };
    } catch {
      signal.throwIfAborted();
      throw new NoResponseError("the gateway did not answer");
    }
  }
  #succeeded() {
    this.#answered = true;
    this.#renewals = 0;
    this.#retry.succeeded();
  }
  #renewable(error) {
    if (this.#renewals >= MOST_RENEWALS)
      return false;
    return error.status === 401 && this.#renewToken !== void 0 && RENEWABLE.has(error.reason);
  }
  async #currentToken() {
    if (this.#token === void 0 && this.#renewToken !== void 0)
      await this.#renew(void 0);
    return this.#token ?? "";
  }
  /** Renew the token once for all calls that were refused with the same one. */
  async #renew(refused) {
    const renewToken2 = this.#renewToken;
    if (renewToken2 === void 0 || this.#token !== refused)
      return;
    this.#renewal ??= this.#askForToken(renewToken2, refused).finally(() => {
      this.#renewal = void 0;
    });
    await this.#renewal;
  }
  async #askForToken(renewToken2, refused) {
    this.#renewals++;
    const token = await renewToken2();
    if (token === refused) {
      throw new UploadError("UPLOAD_TOKEN_EXPIRED", "onTokenExpired returned the token that was refused", { status: 401 });
    }
    this.#token = token;
  }
};

// node_modules/@partway/upload/dist/retry.js
var LEAST_TRIES = 4;
var Retry = class {
  #runtime;
  #giveUpAfterMs;
  #lastSuccess;
  constructor(runtime, giveUpAfterMs) {
    this.#runtime = runtime;
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#lastSuccess = runtime.now();
  }
  /** Record that a call was answered, or a part stored. */
  succeeded() {
    this.#lastSuccess = this.#runtime.now();
  }
  /** Return whether to give up after so many failures in a row: no other one succeeded for too long. */
  isExhausted(failures) {
    return failures >= LEAST_TRIES && this.#runtime.now() - this.#lastSuccess > this.#giveUpAfterMs;
  }
  /**
   * Wait after the given number of failures: exponentially longer, with equal jitter.
   *
   * `atLeastMs` is what the other side asked for. The jitter is added to it, so that callers that
   * were given the same figure do not all come back at once.
   */
  async backOff(failures, signal, atLeastMs = 0) {
    const longest = Math.min(2e4, 500 * 2 ** Math.min(failures - 1, 10));
    await this.#runtime.sleep(atLeastMs + (1 + this.#runtime.random()) * longest / 2, signal);
  }
};

// node_modules/@partway/upload/dist/http_put.js
var STALL_MS = 6e4;
var SLOWEST_BYTES_PER_SECOND = 32 * 1024;
function platformSendBody() {
  return typeof XMLHttpRequest === "undefined" ? sendByFetch : sendByXhr;
}
function sendByXhr(request) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let stall;
    const finish = (settle) => {
      clearTimeout(stall);
      request.signal.removeEventListener("abort", onAbort);
      settle();
    };
    const fail = (problem) => finish(() => reject(new NoResponseError(problem)));
    const watch = () => {
      clearTimeout(stall);
      stall = setTimeout(() => {
        fail("nothing moved for a minute");
        xhr.abort();
      }, STALL_MS);
    };
    const onAbort = () => {
      finish(() => reject(request.signal.reason));
      xhr.abort();
    };
    xhr.upload.onprogress = (event) => {
      watch();
      request.onSent(event.loaded);
    };
    xhr.onload = () => finish(() => resolve({ status: xhr.status, text: xhr.responseText }));
    xhr.onerror = () => fail("the connection failed");
    xhr.open(request.method, request.url);
    for (const [name, value] of Object.entries(request.headers))
      xhr.setRequestHeader(name, value);
    if (request.signal.aborted)
      return onAbort();
    request.signal.addEventListener("abort", onAbort, { once: true });
    watch();
    xhr.send(request.body);
  });
}
async function sendByFetch(request) {
  const limit = STALL_MS + request.body.size / SLOWEST_BYTES_PER_SECOND * 1e3;
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      body: request.body,
      redirect: "error",
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(limit)])
    });
    const text = await response.text();
    if (response.ok)
      request.onSent(request.body.size);
    return { status: response.status, text };
  } catch {
    request.signal.throwIfAborted();
    throw new NoResponseError("the connection failed");
  }
}

// node_modules/@partway/upload/dist/runtime.js
function createRuntime(replacements = {}) {
  return {
    fetch: (url, init) => fetch(url, init),
    sendBody: platformSendBody(),
    now: () => performance.now(),
    random: () => Math.random(),
    sleep: sleepOrOnline,
    ...replacements
  };
}
function sleepOrOnline(milliseconds2, signal) {
  return new Promise((resolve, reject) => {
    const finish = (settle) => () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      globalThis.removeEventListener?.("online", onOnline);
      settle();
    };
    const onAbort = finish(() => reject(signal.reason));
    const onOnline = finish(resolve);
    const timer = setTimeout(onOnline, milliseconds2);
    signal.addEventListener("abort", onAbort, { once: true });
    globalThis.addEventListener?.("online", onOnline, { once: true });
    if (signal.aborted)
      onAbort();
  });
}

// node_modules/@partway/upload/dist/part_reporter.js
var BATCH_MS = 1e3;
var MOST_PARTS = 1e3;
var PartReporter = class {
  #gateway;
  #runtime;
  #signal;
  #pending = [];
  #loop;
  #off = false;
  constructor(gateway, runtime, signal) {
    this.#gateway = gateway;
    this.#runtime = runtime;
    this.#signal = signal;
  }
  /** Report a part with the next batch. */
  add(part) {
    if (this.#off)
      return;
    this.#pending.push(part);
    this.#loop ??= this.#flushLater().finally(() => {
      this.#loop = void 0;
    });
  }
  async #flushLater() {
    try {
      while (this.#pending.length > 0) {
        await this.#runtime.sleep(BATCH_MS, this.#signal);
        await this.#gateway.report(this.#pending.splice(0, MOST_PARTS), this.#signal);
      }
    } catch (error) {
      if (!(error instanceof UploadError) && !this.#signal.aborted)
        throw error;
      this.#off = true;
    }
  }
};

// node_modules/@partway/upload/dist/checksums.js
async function partChecksum(algorithm, part) {
  switch (algorithm) {
    case "CHECKSUM_ALGORITHM_UNSPECIFIED":
    case "CHECKSUM_ALGORITHM_NONE":
      return void 0;
    case "CHECKSUM_ALGORITHM_SHA256":
      return base64(new Uint8Array(await crypto.subtle.digest("SHA-256", await part.arrayBuffer())));
    case "CHECKSUM_ALGORITHM_CRC32C":
      return base64(bigEndian([await crc32c(part)]));
    case "CHECKSUM_ALGORITHM_CRC64NVME":
      return base64(bigEndian(await crc64nvme(part)));
    default:
      throw new UploadError("CHECKSUM_UNSUPPORTED", `this client cannot compute ${algorithm}; initialize the Upload with SHA256, CRC32C, CRC64NVME or NONE`);
  }
}
async function crc32c(part) {
  const [, table] = tables(0, 2197175160);
  let crc = 4294967295;
  for await (const bytes of chunks(part)) {
    for (let i4 = 0; i4 < bytes.length; i4++)
      crc = crc >>> 8 ^ table[(crc ^ bytes[i4]) & 255];
  }
  return ~crc;
}
async function crc64nvme(part) {
  const [highTable, lowTable] = tables(2590806825, 2890647989);
  let high = 4294967295;
  let low = 4294967295;
  for await (const bytes of chunks(part)) {
    for (let i4 = 0; i4 < bytes.length; i4++) {
      const entry = (low ^ bytes[i4]) & 255;
      low = (low >>> 8 | high << 24) ^ lowTable[entry];
      high = high >>> 8 ^ highTable[entry];
    }
  }
  return [~high, ~low];
}
function tables(polynomialHigh, polynomialLow) {
  const highTable = new Uint32Array(256);
  const lowTable = new Uint32Array(256);
  for (let entry = 0; entry < 256; entry++) {
    let high = 0;
    let low = entry;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = low >>> 1 | high << 31;
      high >>>= 1;
      if (odd) {
        low ^= polynomialLow;
        high ^= polynomialHigh;
      }
    }
    highTable[entry] = high;
    lowTable[entry] = low;
  }
  return [highTable, lowTable];
}
async function* chunks(part) {
  const reader = part.stream().getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read())
    yield read.value;
}
function bigEndian(words) {
  const view = new DataView(new ArrayBuffer(4 * words.length));
  for (const [index, word] of words.entries())
    view.setInt32(4 * index, word);
  return new Uint8Array(view.buffer);
}
function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

// node_modules/@partway/upload/dist/plan.js
var Plan = class {
  partCount;
  sizeBytes;
  checksumAlgorithm;
  #partSizeBytes;
  constructor(upload) {
    this.partCount = upload.partCount;
    this.sizeBytes = Number(upload.sizeBytes);
    this.checksumAlgorithm = upload.checksumAlgorithm;
    this.#partSizeBytes = Number(upload.partSizeBytes);
  }
  /** Return the bytes of a part. The type is left out, or the browser would send it as a header. */
  slice(file, partNumber) {
    const offset = (partNumber - 1) * this.#partSizeBytes;
    return file.slice(offset, Math.min(offset + this.#partSizeBytes, this.sizeBytes));
  }
  partSize(partNumber) {
    const offset = (partNumber - 1) * this.#partSizeBytes;
    return Math.min(this.#partSizeBytes, this.sizeBytes - offset);
  }
};
function numbersOf(ranges) {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_4, index) => first + index));
}
function rangesOf(numbers) {
  const ranges = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== void 0 && last.last === number - 1)
      last.last = number;
    else
      ranges.push({ first: number, last: number });
  }
  return ranges;
}

// node_modules/@partway/upload/dist/presigned_urls.js
var AHEAD = 2;
var PresignedUrls = class {
  #gateway;
  #plan;
  #file;
  #signal;
  #window;
  #ready = /* @__PURE__ */ new Map();
  #expected;
  constructor(from, expected, parallel) {
    this.#gateway = from.gateway;
    this.#plan = from.plan;
    this.#file = from.file;
    this.#signal = from.signal;
    this.#window = parallel * AHEAD;
    this.#expected = [...expected];
  }
  /** Return the URL of a part, once. Taking it again presigns it again. */
  async take(partNumber) {
    const ready = this.#ready.get(partNumber) ?? this.#presignFrom(partNumber);
    this.#ready.delete(partNumber);
    return ready;
  }
  /** Presign a part, and those that follow it and have not been asked for. */
  #presignFrom(partNumber) {
    const next = this.#expected.filter((number) => number > partNumber && !this.#ready.has(number));
    const numbers = this.#expected.includes(partNumber) ? [partNumber, ...next.slice(0, this.#window - 1)] : [partNumber];
    this.#expected = this.#expected.filter((number) => !numbers.includes(number));
    const batch = this.#presign(numbers);
    for (const number of numbers) {
      const part = batch.then((parts) => parts.get(number));
      part.catch(() => void 0);
      this.#ready.set(number, part);
    }
    return this.#ready.get(partNumber);
  }
  async #presign(numbers) {
    const checksums = [];
    for (const partNumber of numbers) {
      const checksum = await partChecksum(this.#plan.checksumAlgorithm, this.#plan.slice(this.#file, partNumber));
      if (checksum !== void 0)
        checksums.push({ partNumber, checksum });
    }
    const parts = await this.#gateway.presign(rangesOf(numbers), checksums, this.#signal);
    return new Map(parts.map((part) => [part.partNumber, part]));
  }
};

// node_modules/@partway/upload/dist/part_transfer.js
var MOST_REFUSALS = 6;
var TRANSIENT_STATUSES = /* @__PURE__ */ new Set([408, 409, 429, 500, 502, 503, 504]);
var SERVICE_OFF = /* @__PURE__ */ new Set(["VIA_SERVICE_OFF", "PERMISSION_DENIED"]);
var SERVICE_OFF_STATUSES = /* @__PURE__ */ new Set([405, 413, 415, 501]);
async function sendParts(context, numbers) {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const inner = { ...context, signal };
  const urls = new PresignedUrls(inner, numbers, context.parallel);
  const queue = numbers.values();
  const workers = Array.from({ length: Math.min(context.parallel, numbers.length) }, async () => {
    for (const partNumber of queue)
      await new PartSender(inner, urls, partNumber).send();
  });
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}
var PartSender = class {
  #context;
  #urls;
  #partNumber;
  #body;
  #failures = 0;
  #refusals = 0;
  #unreached = 0;
  #gatewayAnswers = false;
  constructor(context, urls, partNumber) {
    this.#context = context;
    this.#urls = urls;
    this.#partNumber = partNumber;
    this.#body = context.plan.slice(context.file, partNumber);
  }
  async send() {
    for (; ; ) {
      const outcome = await this.#try();
      if (outcome.kind === "stored") {
        this.#context.retry.succeeded();
        this.#context.onStored(this.#partNumber);
        return;
      }
      this.#context.onSent(this.#partNumber, 0);
      await this.#afterFailure(outcome);
    }
  }
  async #try() {
    const { signal } = this.#context;
    signal.throwIfAborted();
    try {
      return this.#context.route.choose() === "service" ? await this.#viaService() : await this.#direct();
    } catch (error) {
      if (error instanceof NoResponseError)
        return { kind: "no-response" };
      throw error;
    }
  }
  async #direct() {
    const part = await this.#urls.take(this.#partNumber);
    const { status, text } = await this.#context.runtime.sendBody({
      method: part.method,
      url: part.url,
      headers: part.headers,
      body: this.#body,
      signal: this.#context.signal,
      onSent: (bytes) => this.#moved(bytes)
    });
    return judge(status, text, this.#context.plan.partCount === 1);
  }
  async #viaService() {
    const { gateway, plan, signal } = this.#context;
    const checksum = await partChecksum(plan.checksumAlgorithm, this.#body);
    const part = { partNumber: this.#partNumber, body: this.#body, checksum, onSent: (n3) => this.#moved(n3) };
    try {
      await gateway.putPart(part, signal);
      return { kind: "stored" };
    } catch (error) {
      if (!(error instanceof UploadError))
        throw error;
      const off = SERVICE_OFF.has(error.reason) || error.reason === "" && SERVICE_OFF_STATUSES.has(error.status);
      if (off)
        return { kind: "service-off" };
      return { kind: "refused", error, final: !error.retryable };
    }
  }
  #moved(bytes) {
    this.#context.onSent(this.#partNumber, bytes);
  }
  /** Wait, change the route, or raise the error if no other try would help. */
  async #afterFailure(outcome) {
    const { retry, route, signal } = this.#context;
    this.#failures++;
    if (outcome.kind === "service-off") {
      route.serviceRefused();
      return;
    }
    if (outcome.kind === "refused") {
      this.#unreached = 0;
      this.#refusals++;
      if (outcome.final || this.#refusals >= MOST_REFUSALS)
        throw outcome.error;
      return retry.backOff(this.#failures, signal, outcome.error.retryAfterMs);
    }
    await this.#checkFile();
    this.#unreached++;
    if (await this.#switched())
      return;
    if (retry.isExhausted(this.#failures)) {
      throw new UploadError("STORAGE_UNREACHABLE", "storage cannot be reached; is this page's origin allowed there?");
    }
    await retry.backOff(this.#failures, signal);
  }
  /** Switch to the service if the gateway answers and storage, tried once more after that, does not. */
  async #switched() {
    const { gateway, route, signal } = this.#context;
    if (!route.shouldProbe(this.#unreached))
      return false;
    if (this.#gatewayAnswers) {
      route.useService();
      this.#gatewayAnswers = false;
      return true;
    }
    this.#gatewayAnswers = await gateway.answers(signal);
    return this.#gatewayAnswers;
  }
  /** Browsers report a file that was changed or removed as a failed connection. */
  async #checkFile() {
    try {
      await this.#body.slice(0, 1).arrayBuffer();
    } catch {
      throw new UploadError("FILE_CHANGED", "the file can no longer be read: it was changed, moved or removed");
    }
  }
};
function judge(status, text, single) {
  if (status >= 200 && status < 300)
    return { kind: "stored" };
  if (single && status === 412)
    return { kind: "stored" };
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? "";
  const message = `storage answers ${status} ${code}`.trimEnd();
  const error = new UploadError("STORAGE_REFUSED_PART", message, { status, metadata: { storage_code: code } });
  const final = !(TRANSIENT_STATUSES.has(status) || status === 403 || status === 400);
  return { kind: "refused", error, final };
}

// node_modules/@partway/upload/dist/progress_meter.js
var ProgressMeter = class {
  #bytesTotal;
  #partCount;
  #inFlight = /* @__PURE__ */ new Map();
  #bytesStored = 0;
  #partsStored = 0;
  constructor(total, missing) {
    this.#bytesTotal = total.bytes;
    this.#partCount = total.parts;
    this.#bytesStored = total.bytes - missing.bytes;
    this.#partsStored = total.parts - missing.parts;
  }
  moved(partNumber, bytes) {
    this.#inFlight.set(partNumber, bytes);
  }
  stored(partNumber, bytes) {
    this.#inFlight.delete(partNumber);
    this.#bytesStored += bytes;
    this.#partsStored++;
  }
  read() {
    let bytesSent = this.#bytesStored;
    for (const bytes of this.#inFlight.values())
      bytesSent += bytes;
    const { partsStored, partCount } = { partsStored: this.#partsStored, partCount: this.#partCount };
    return { bytesSent, bytesTotal: this.#bytesTotal, partsStored, partCount };
  }
};

// node_modules/@partway/upload/dist/route.js
var TRIES = 2;
var SERVICE_MS = 6e4;
var Route = class {
  #runtime;
  #onChange;
  /** Whether the service takes parts; the policy of the Upload may forbid it. */
  #offered;
  #serviceUntil = -Infinity;
  #last = "direct";
  constructor(runtime, mayUseService, onChange) {
    this.#runtime = runtime;
    this.#offered = mayUseService;
    this.#onChange = onChange;
  }
  /** Return the route of the next part. */
  choose() {
    const route = this.#runtime.now() < this.#serviceUntil ? "service" : "direct";
    if (route !== this.#last)
      this.#onChange(route);
    this.#last = route;
    return route;
  }
  /** Return whether to ask if the gateway answers: then storage, and not the network, is away. */
  shouldProbe(failuresInARow) {
    return this.#offered && this.#last === "direct" && failuresInARow >= TRIES;
  }
  /** Send the next parts through the service. */
  useService() {
    this.#serviceUntil = this.#runtime.now() + SERVICE_MS;
  }
  /** Record that the service takes no parts of this Upload. */
  serviceRefused() {
    this.#offered = false;
    this.#serviceUntil = -Infinity;
  }
};

// node_modules/@partway/upload/dist/upload_run.js
var MOST_ROUNDS = 8;
var DEFAULT_POLL_MS = 1e3;
var MOST_POLLS = 400;
var POLLS_PER_COMPLETE = 8;
var MISSING_REASONS = /* @__PURE__ */ new Set(["PARTS_MISSING", "PARTS_MISMATCH"]);
var UploadRun = class {
  #context;
  #route;
  constructor(context) {
    this.#context = context;
    this.#route = new Route(context.runtime, context.viaService, context.onRoute);
  }
  /** Return the completed Upload. Rejects with UploadError, or the reason of the signal. */
  async toCompletion() {
    const { gateway, signal, onCompleting } = this.#context;
    for (let round = 1; ; round++) {
      const status = await this.#settled(await gateway.status(signal, true));
      checkSize(status.upload, this.#context.file);
      if (status.upload.state === "UPLOAD_STATE_COMPLETED")
        return status.upload;
      checkActive(status.upload);
      onCompleting(false);
      await this.#send(status);
      onCompleting(true);
      const completed = await this.#complete(round);
      if (completed?.state === "UPLOAD_STATE_COMPLETED")
        return completed;
    }
  }
  async #send(status) {
    const { file, signal, gateway, runtime, onProgress } = this.#context;
    const plan = new Plan(status.upload);
    const missing = numbersOf(status.progress?.missing ?? []);
    const missingBytes = missing.reduce((sum, number) => sum + plan.partSize(number), 0);
    const total = { bytes: plan.sizeBytes, parts: plan.partCount };
    const meter = new ProgressMeter(total, { bytes: missingBytes, parts: missing.length });
    const reporter = new PartReporter(gateway, runtime, signal);
    onProgress(meter.read());
    await sendParts({
      ...this.#context,
      file,
      plan,
      route: this.#route,
      onSent: (partNumber, bytes) => {
        meter.moved(partNumber, bytes);
        onProgress(meter.read());
      },
      onStored: (partNumber) => {
        meter.stored(partNumber, plan.partSize(partNumber));
        reporter.add({ partNumber, sizeBytes: String(plan.partSize(partNumber)) });
        onProgress(meter.read());
      }
    }, missing);
  }
  /** Complete the Upload; return undefined if parts must be sent again. */
  async #complete(round) {
    const { gateway, signal } = this.#context;
    try {
      const upload = await gateway.complete(signal);
      return (await this.#settled({ upload })).upload;
    } catch (error) {
      const again = error instanceof UploadError && MISSING_REASONS.has(error.reason) && round < MOST_ROUNDS;
      if (!again)
        throw error;
      return void 0;
    }
  }
  /** Wait while the service or storage is at work on the Upload. */
  async #settled(first) {
    const { gateway, runtime, signal, onCompleting } = this.#context;
    let status = first;
    for (let polls = 1; isBusy(status.upload); polls++) {
      onCompleting(status.upload.state === "UPLOAD_STATE_COMPLETING");
      await runtime.sleep(milliseconds(status.upload.retryDelay) ?? DEFAULT_POLL_MS, signal);
      if (polls > MOST_POLLS)
        throw new UploadError("UPLOAD_UNFINISHED", "storage is still joining the parts");
      const takeOver = polls % POLLS_PER_COMPLETE === 0 && status.upload.state === "UPLOAD_STATE_COMPLETING";
      status = takeOver ? { upload: await gateway.complete(signal) } : await gateway.status(signal, true);
    }
    return status;
  }
};
function isBusy(upload) {
  return upload.state === "UPLOAD_STATE_INITIATING" || upload.state === "UPLOAD_STATE_COMPLETING";
}
function checkActive(upload) {
  if (upload.state === "UPLOAD_STATE_ACTIVE")
    return;
  const why = upload.abortReason.replace(/^ABORT_REASON_/, "");
  const metadata = { abort_reason: upload.abortReason };
  throw new UploadError("UPLOAD_ABORTED", `the Upload was aborted: ${why}; initialize another`, { metadata });
}
function checkSize(upload, file) {
  if (file.size === Number(upload.sizeBytes))
    return;
  throw new UploadError("FILE_CHANGED", `the file has ${file.size} bytes, and the Upload ${upload.sizeBytes}`);
}

// node_modules/@partway/upload/dist/upload.js
var GONE = /* @__PURE__ */ new Set(["UPLOAD_ABORTED", "UPLOAD_NOT_FOUND", "UPLOAD_CONFLICT", "OBJECT_EXISTS"]);
var Upload = class {
  #file;
  #options;
  #runtime;
  #callRetry;
  #partRetry;
  #gateway;
  #phase = "idle";
  #run = new AbortController();
  #outcome;
  #removal;
  #wake = () => void 0;
  constructor(file, options) {
    this.#file = file;
    this.#options = options;
    this.#runtime = createRuntime(options.runtime);
    const giveUpAfterMs = options.giveUpAfterMs ?? 6e5;
    this.#callRetry = new Retry(this.#runtime, giveUpAfterMs);
    this.#partRetry = new Retry(this.#runtime, giveUpAfterMs);
    const { gateway, uploadId, token, onTokenExpired: renewToken2 } = options;
    this.#gateway = new Gateway({ gateway, uploadId, token, renewToken: renewToken2 }, this.#runtime, this.#callRetry);
  }
  get phase() {
    return this.#phase;
  }
  /**
   * Send the file, and return the completed Upload.
   *
   * Only what storage lacks is sent, so a second start() after a failure goes on where the first
   * ended. Rejects with UploadError.
   */
  start() {
    this.#outcome ??= this.#drive();
    return this.#outcome;
  }
  /** Stop sending. Parts that are in storage stay there; start() returns after resume(). */
  pause() {
    if (this.#phase !== "uploading")
      return;
    this.#setPhase("paused");
    this.#run.abort();
  }
  /** Go on after pause(). */
  resume() {
    if (this.#phase !== "paused")
      return;
    this.#setPhase("uploading");
    this.#wake();
  }
  /**
   * End the upload, and have the service discard its parts.
   *
   * Returns once they are discarded; start() rejects with the reason ABORTED. An object that
   * storage is joining, or has joined, stays: then this rejects with UPLOAD_NOT_ACTIVE.
   */
  abort() {
    this.#removal ??= this.#remove();
    return this.#removal;
  }
  async #drive() {
    const { signal, resumeStore, uploadId } = this.#options;
    const onAbort = () => void this.abort().catch(() => void 0);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      if (this.#phase === "idle" || this.#phase === "failed")
        this.#setPhase("uploading");
      if (signal?.aborted)
        onAbort();
      await this.#remember();
      const upload = await this.#untilComplete();
      await resumeStore?.remove(uploadId);
      this.#setPhase("completed");
      return upload;
    } catch (error) {
      this.#outcome = void 0;
      const reason = error instanceof UploadError ? error.reason : "";
      if (GONE.has(reason))
        await resumeStore?.remove(uploadId);
      this.#setPhase(reason === "ABORTED" ? "aborted" : "failed");
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }
  /** Run until the Upload is complete, once more after each pause. */
  async #untilComplete() {
    for (; ; ) {
      this.#run = new AbortController();
      const { signal } = this.#run;
      await this.#whileAborting();
      await this.#whilePaused();
      this.#callRetry.succeeded();
      this.#partRetry.succeeded();
      try {
        return await this.#runOnce(signal);
      } catch (error) {
        if (!signal.aborted)
          throw error;
      }
    }
  }
  #runOnce(signal) {
    const { parallel = 4, viaService = true, onProgress, onRoute } = this.#options;
    const run = new UploadRun({
      file: this.#file,
      gateway: this.#gateway,
      runtime: this.#runtime,
      retry: this.#partRetry,
      signal,
      parallel,
      viaService,
      onProgress: (progress) => onProgress?.(progress),
      onRoute: (route) => onRoute?.(route),
      onCompleting: (completing) => this.#setPhase(completing ? "completing" : "uploading")
    });
    return run.toCompletion();
  }
  async #whilePaused() {
    while (this.#phase === "paused") {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
      await this.#whileAborting();
    }
  }
  /** Raise ABORTED once a call of abort() has ended; return if the service refused it. */
  async #whileAborting() {
    try {
      await this.#removal;
    } catch (error) {
      if (!(error instanceof UploadError) || error.reason !== "UPLOAD_NOT_ACTIVE")
        throw abortedError();
      this.#removal = void 0;
    }
    if (this.#removal !== void 0)
      throw abortedError();
  }
  async #remove() {
    this.#run.abort();
    this.#wake();
    this.#callRetry.succeeded();
    await this.#gateway.abort(new AbortController().signal);
    await this.#options.resumeStore?.remove(this.#options.uploadId);
    if (this.#outcome === void 0)
      this.#setPhase("aborted");
  }
  async #remember() {
    const { resumeStore, uploadId, gateway, handle } = this.#options;
    if (resumeStore === void 0)
      return;
    const file = describeFile(this.#file);
    await resumeStore.save({ uploadId, gateway, file, ...handle === void 0 ? {} : { handle } });
  }
  #setPhase(phase) {
    if (this.#phase === phase)
      return;
    this.#phase = phase;
    this.#options.onPhase?.(phase);
  }
};
function abortedError() {
  return new UploadError("ABORTED", "the upload was aborted");
}

// node_modules/uppy6-core/lib/utils/dataURItoBlob.js
var DATA_URL_PATTERN = /^data:([^/]+\/[^,;]+(?:[^,]*?))(;base64)?,([\s\S]*)$/;
function dataURItoBlob(dataURI, opts, toFile) {
  const dataURIData = DATA_URL_PATTERN.exec(dataURI);
  const mimeType = opts.mimeType ?? dataURIData?.[1] ?? "plain/text";
  let data;
  if (dataURIData?.[2] != null) {
    const binary = atob(decodeURIComponent(dataURIData[3]));
    const bytes = new Uint8Array(binary.length);
    for (let i4 = 0; i4 < binary.length; i4++) {
      bytes[i4] = binary.charCodeAt(i4);
    }
    data = [bytes];
  } else if (dataURIData?.[3] != null) {
    data = [decodeURIComponent(dataURIData[3])];
  }
  if (toFile) {
    return new File(data, opts.name || "", { type: mimeType });
  }
  return new Blob(data, { type: mimeType });
}
var dataURItoBlob_default = dataURItoBlob;

// node_modules/uppy6-core/lib/utils/ErrorWithCause.js
var ErrorWithCause = class extends Error {
  isNetworkError;
  constructor(message, options) {
    super(message);
    this.cause = options?.cause;
    if (this.cause && Object.hasOwn(this.cause, "isNetworkError")) {
      this.isNetworkError = this.cause.isNetworkError;
    } else {
      this.isNetworkError = false;
    }
  }
};
var ErrorWithCause_default = ErrorWithCause;

// node_modules/uppy6-core/lib/utils/emaFilter.js
function emaFilter(newValue, previousSmoothedValue, halfLife, dt) {
  if (halfLife === 0 || newValue === previousSmoothedValue)
    return newValue;
  if (dt === 0)
    return previousSmoothedValue;
  return newValue + (previousSmoothedValue - newValue) * 2 ** (-dt / halfLife);
}

// node_modules/uppy6-core/lib/utils/FOCUSABLE_ELEMENTS.js
var FOCUSABLE_ELEMENTS_default = [
  'a[href]:not([tabindex^="-"]):not([inert]):not([aria-hidden])',
  'area[href]:not([tabindex^="-"]):not([inert]):not([aria-hidden])',
  "input:not([disabled]):not([inert]):not([aria-hidden])",
  "select:not([disabled]):not([inert]):not([aria-hidden])",
  "textarea:not([disabled]):not([inert]):not([aria-hidden])",
  "button:not([disabled]):not([inert]):not([aria-hidden])",
  'iframe:not([tabindex^="-"]):not([inert]):not([aria-hidden])',
  'object:not([tabindex^="-"]):not([inert]):not([aria-hidden])',
  'embed:not([tabindex^="-"]):not([inert]):not([aria-hidden])',
  '[contenteditable]:not([tabindex^="-"]):not([inert]):not([aria-hidden])',
  '[tabindex]:not([tabindex^="-"]):not([inert]):not([aria-hidden])'
];

// node_modules/uppy6-core/lib/utils/toError.js
function isErrorLike(err) {
  return err instanceof Error || typeof err === "object" && err != null && "message" in err && typeof err.message === "string";
}
function toError(err) {
  return isErrorLike(err) ? err : new Error(String(err));
}

// node_modules/uppy6-core/lib/utils/isDOMElement.js
function isDOMElement(obj) {
  if (typeof obj !== "object" || obj === null)
    return false;
  if (!("nodeType" in obj))
    return false;
  return obj.nodeType === Node.ELEMENT_NODE;
}

// node_modules/uppy6-core/lib/utils/findAllDOMElements.js
function findAllDOMElements(element) {
  if (typeof element === "string") {
    const elements = document.querySelectorAll(element);
    return elements.length === 0 ? null : Array.from(elements);
  }
  if (typeof element === "object" && isDOMElement(element)) {
    return [element];
  }
  return null;
}
var findAllDOMElements_default = findAllDOMElements;

// node_modules/uppy6-core/lib/utils/findDOMElement.js
function findDOMElement(element, context = document) {
  if (typeof element === "string") {
    return context.querySelector(element);
  }
  if (isDOMElement(element)) {
    return element;
  }
  return null;
}
var findDOMElement_default = findDOMElement;

// node_modules/uppy6-core/lib/utils/getFileNameAndExtension.js
function getFileNameAndExtension(fullFileName) {
  const lastDot = fullFileName.lastIndexOf(".");
  if (lastDot === -1 || lastDot === fullFileName.length - 1) {
    return {
      name: fullFileName,
      extension: void 0
    };
  }
  return {
    name: fullFileName.slice(0, lastDot),
    extension: fullFileName.slice(lastDot + 1)
  };
}

// node_modules/uppy6-core/lib/utils/mimeTypes.js
var mimeTypes_default = {
  __proto__: null,
  md: "text/markdown",
  markdown: "text/markdown",
  mp4: "video/mp4",
  mp3: "audio/mp3",
  svg: "image/svg+xml",
  jpg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  gif: "image/gif",
  heic: "image/heic",
  heif: "image/heif",
  yaml: "text/yaml",
  yml: "text/yaml",
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  tab: "text/tab-separated-values",
  avi: "video/x-msvideo",
  mks: "video/x-matroska",
  mkv: "video/x-matroska",
  mov: "video/quicktime",
  dicom: "application/dicom",
  doc: "application/msword",
  msg: "application/vnd.ms-outlook",
  docm: "application/vnd.ms-word.document.macroenabled.12",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  dot: "application/msword",
  dotm: "application/vnd.ms-word.template.macroenabled.12",
  dotx: "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
  xla: "application/vnd.ms-excel",
  xlam: "application/vnd.ms-excel.addin.macroenabled.12",
  xlc: "application/vnd.ms-excel",
  xlf: "application/x-xliff+xml",
  xlm: "application/vnd.ms-excel",
  xls: "application/vnd.ms-excel",
  xlsb: "application/vnd.ms-excel.sheet.binary.macroenabled.12",
  xlsm: "application/vnd.ms-excel.sheet.macroenabled.12",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xlt: "application/vnd.ms-excel",
  xltm: "application/vnd.ms-excel.template.macroenabled.12",
  xltx: "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
  xlw: "application/vnd.ms-excel",
  txt: "text/plain",
  text: "text/plain",
  conf: "text/plain",
  log: "text/plain",
  pdf: "application/pdf",
  zip: "application/zip",
  "7z": "application/x-7z-compressed",
  rar: "application/x-rar-compressed",
  tar: "application/x-tar",
  gz: "application/gzip",
  dmg: "application/x-apple-diskimage"
};

// node_modules/uppy6-core/lib/utils/getFileType.js
function getFileType(file) {
  if (file.type)
    return file.type;
  const fileExtension = file.name ? getFileNameAndExtension(file.name).extension?.toLowerCase() : null;
  if (fileExtension && fileExtension in mimeTypes_default) {
    return mimeTypes_default[fileExtension];
  }
  return "application/octet-stream";
}

// node_modules/uppy6-core/lib/utils/generateFileID.js
function encodeCharacter(character) {
  return character.charCodeAt(0).toString(32);
}
function encodeFilename(name) {
  let suffix = "";
  return name.replace(/[^A-Z0-9]/gi, (character) => {
    suffix += `-${encodeCharacter(character)}`;
    return "/";
  }) + suffix;
}
function generateFileID(file, instanceId) {
  let id = instanceId || "uppy";
  if (typeof file.name === "string") {
    id += `-${encodeFilename(file.name.toLowerCase())}`;
  }
  if (file.type !== void 0) {
    id += `-${file.type}`;
  }
  if (file.meta && typeof file.meta.relativePath === "string") {
    id += `-${encodeFilename(file.meta.relativePath.toLowerCase())}`;
  }
  if (file.data?.size !== void 0) {
    id += `-${file.data.size}`;
  }
  if (file.data.lastModified !== void 0) {
    id += `-${file.data.lastModified}`;
  }
  return id;
}
function hasFileStableId(file) {
  if (!file.isRemote || !file.remote)
    return false;
  const stableIdProviders = /* @__PURE__ */ new Set([
    "box",
    "dropbox",
    "drive",
    "facebook",
    "unsplash"
  ]);
  return stableIdProviders.has(file.remote.provider);
}
function getSafeFileId(file, instanceId) {
  if (hasFileStableId(file))
    return file.id;
  const fileType = getFileType(file);
  return generateFileID({
    ...file,
    type: fileType
  }, instanceId);
}

// node_modules/uppy6-core/lib/utils/toArray.js
var toArray_default = Array.from;

// node_modules/uppy6-core/lib/utils/getDroppedFiles/utils/fallbackApi.js
function fallbackApi(dataTransfer) {
  const files = toArray_default(dataTransfer.files);
  return Promise.resolve(files);
}

// node_modules/uppy6-core/lib/utils/getDroppedFiles/utils/webkitGetAsEntryApi/getFilesAndDirectoriesFromDirectory.js
function getFilesAndDirectoriesFromDirectory(directoryReader, oldEntries, logDropError, { onSuccess }) {
  directoryReader.readEntries(
    (entries) => {
      const newEntries = [...oldEntries, ...entries];
      if (entries.length) {
        queueMicrotask(() => {
          getFilesAndDirectoriesFromDirectory(directoryReader, newEntries, logDropError, { onSuccess });
        });
      } else {
        onSuccess(newEntries);
      }
    },
    // Make sure we resolve on error anyway, it's fine if only one directory couldn't be parsed!
    (error) => {
      logDropError(error);
      onSuccess(oldEntries);
    }
  );
}

// node_modules/uppy6-core/lib/utils/getDroppedFiles/utils/webkitGetAsEntryApi/index.js
function getAsFileSystemHandleFromEntry(entry, logDropError) {
  if (entry == null)
    return entry;
  return {
    kind: entry.isFile ? "file" : entry.isDirectory ? "directory" : void 0,
    name: entry.name,
    getFile() {
      return new Promise((resolve, reject) => entry.file(resolve, reject));
    },
    async *values() {
      const directoryReader = entry.createReader();
      const entries = await new Promise((resolve) => {
        getFilesAndDirectoriesFromDirectory(directoryReader, [], logDropError, {
          onSuccess: (dirEntries) => resolve(dirEntries.map((file) => getAsFileSystemHandleFromEntry(file, logDropError)))
        });
      });
      yield* entries;
    },
    isSameEntry: void 0
  };
}
async function* createPromiseToAddFileOrParseDirectory(entry, relativePath, lastResortFile = void 0) {
  const getNextRelativePath = () => `${relativePath}/${entry.name}`;
  if (entry.kind === "file") {
    const file = await entry.getFile();
    if (file != null) {
      ;
      file.relativePath = relativePath ? getNextRelativePath() : null;
      yield file;
    } else if (lastResortFile != null)
      yield lastResortFile;
  } else if (entry.kind === "directory") {
    for await (const handle of entry.values()) {
      yield* createPromiseToAddFileOrParseDirectory(handle, relativePath ? getNextRelativePath() : entry.name);
    }
  } else if (lastResortFile != null)
    yield lastResortFile;
}
async function* getFilesFromDataTransfer(dataTransfer, logDropError) {
  const fileSystemHandles = Array.from(dataTransfer.items, (item) => {
    let fileSystemHandle;
    const getAsEntry = () => typeof item.getAsEntry === "function" ? item.getAsEntry() : item.webkitGetAsEntry();
    fileSystemHandle ??= getAsFileSystemHandleFromEntry(getAsEntry(), logDropError);
    return {
      fileSystemHandle,
      lastResortFile: item.getAsFile()
      // can be used as a fallback in case other methods fail
    };
  });
  for (const { lastResortFile, fileSystemHandle } of fileSystemHandles) {
    if (fileSystemHandle != null) {
      try {
        yield* createPromiseToAddFileOrParseDirectory(fileSystemHandle, "", lastResortFile);
      } catch (err) {
        if (lastResortFile != null) {
          yield lastResortFile;
        } else {
          logDropError(err);
        }
      }
    } else if (lastResortFile != null)
      yield lastResortFile;
  }
}

// node_modules/uppy6-core/lib/utils/getDroppedFiles/index.js
async function getDroppedFiles(dataTransfer, options) {
  const logDropError = options?.logDropError ?? Function.prototype;
  try {
    const accumulator = [];
    for await (const file of getFilesFromDataTransfer(dataTransfer, logDropError)) {
      accumulator.push(file);
    }
    return accumulator;
  } catch {
    return fallbackApi(dataTransfer);
  }
}

// node_modules/uppy6-core/lib/utils/getErrorMessage.js
function getErrorMessage(err) {
  return isErrorLike(err) ? err.message : String(err);
}

// node_modules/uppy6-core/lib/utils/getTextDirection.js
function getTextDirection(element) {
  while (element && !element.dir) {
    element = element.parentNode;
  }
  return element?.dir;
}
var getTextDirection_default = getTextDirection;

// node_modules/uppy6-core/lib/utils/getTimeStamp.js
function pad(number) {
  return number < 10 ? `0${number}` : number.toString();
}
function getTimeStamp() {
  const date = /* @__PURE__ */ new Date();
  const hours = pad(date.getHours());
  const minutes = pad(date.getMinutes());
  const seconds = pad(date.getSeconds());
  return `${hours}:${minutes}:${seconds}`;
}

// node_modules/uppy6-core/lib/utils/isAbortError.js
function isAbortError(err) {
  return typeof err === "object" && err != null && "name" in err && err.name === "AbortError";
}

// node_modules/uppy6-core/lib/utils/isDragDropSupported.js
function isDragDropSupported() {
  if (typeof window === "undefined") {
    return false;
  }
  const body = document.body;
  if (body == null || window == null) {
    return false;
  }
  if (!("draggable" in body) || !("ondragstart" in body) || !("ondrop" in body)) {
    return false;
  }
  if (!("FormData" in window)) {
    return false;
  }
  if (!("FileReader" in window)) {
    return false;
  }
  return true;
}

// node_modules/uppy6-core/lib/utils/isObjectURL.js
function isObjectURL(url) {
  return url.startsWith("blob:");
}

// node_modules/uppy6-core/lib/utils/isPreviewSupported.js
function isPreviewSupported(fileType) {
  if (!fileType)
    return false;
  return /^[^/]+\/(jpe?g|gif|png|svg|svg\+xml|bmp|webp|avif)$/.test(fileType);
}

// node_modules/uppy6-core/lib/utils/isRestrictionError.js
function isRestrictionError(err) {
  return err instanceof Error && "isRestriction" in err && err.isRestriction === true;
}

// node_modules/uppy6-core/lib/utils/secondsToTime.js
function secondsToTime(rawSeconds) {
  const hours = Math.floor(rawSeconds / 3600) % 24;
  const minutes = Math.floor(rawSeconds / 60) % 60;
  const seconds = Math.floor(rawSeconds % 60);
  return { hours, minutes, seconds };
}

// node_modules/uppy6-core/lib/utils/prettyETA.js
function prettyETA(seconds) {
  const time = secondsToTime(seconds);
  const hoursStr = time.hours === 0 ? "" : `${time.hours}h`;
  const minutesStr = time.minutes === 0 ? "" : `${time.hours === 0 ? time.minutes : ` ${time.minutes.toString(10).padStart(2, "0")}`}m`;
  const secondsStr = time.hours !== 0 ? "" : `${time.minutes === 0 ? time.seconds : ` ${time.seconds.toString(10).padStart(2, "0")}`}s`;
  return `${hoursStr}${minutesStr}${secondsStr}`;
}

// node_modules/uppy6-core/lib/utils/remoteFileObjToLocal.js
function remoteFileObjToLocal(file) {
  return {
    ...file,
    type: file.mimeType,
    extension: file.name ? getFileNameAndExtension(file.name).extension : null
  };
}

// node_modules/uppy6-core/lib/utils/Translator.js
function insertReplacement(source, rx, replacement) {
  const newParts = [];
  source.forEach((chunk) => {
    if (typeof chunk !== "string") {
      newParts.push(chunk);
      return;
    }
    rx[Symbol.split](chunk).forEach((raw, i4, list) => {
      if (raw !== "") {
        newParts.push(raw);
      }
      if (i4 < list.length - 1) {
        newParts.push(replacement);
      }
    });
  });
  return newParts;
}
function interpolate(phrase, options) {
  const dollarRegex = /\$/g;
  const dollarBillsYall = "$$$$";
  let interpolated = [phrase];
  if (options == null)
    return interpolated;
  for (const arg of Object.keys(options)) {
    if (arg !== "_") {
      let replacement = options[arg];
      if (typeof replacement === "string") {
        replacement = dollarRegex[Symbol.replace](replacement, dollarBillsYall);
      }
      interpolated = insertReplacement(interpolated, new RegExp(`%\\{${arg}\\}`, "g"), replacement);
    }
  }
  return interpolated;
}
var defaultOnMissingKey = (key) => {
  throw new Error(`missing string: ${key}`);
};
var Translator = class {
  locale;
  constructor(locales, { onMissingKey = defaultOnMissingKey } = {}) {
    this.locale = {
      strings: {},
      pluralize(n3) {
        if (n3 === 1) {
          return 0;
        }
        return 1;
      }
    };
    if (Array.isArray(locales)) {
      locales.forEach(this.#apply, this);
    } else {
      this.#apply(locales);
    }
    this.#onMissingKey = onMissingKey;
  }
  #onMissingKey;
  #apply(locale) {
    if (!locale?.strings) {
      return;
    }
    const prevLocale = this.locale;
    Object.assign(this.locale, {
      strings: { ...prevLocale.strings, ...locale.strings },
      pluralize: locale.pluralize || prevLocale.pluralize
    });
  }
  /**
   * Public translate method
   *
   * @param key
   * @param options with values that will be used later to replace placeholders in string
   * @returns string translated (and interpolated)
   */
  translate(key, options) {
    return this.translateArray(key, options).join("");
  }
  /**
   * Get a translation and return the translated and interpolated parts as an array.
   *
   * @returns The translated and interpolated parts, in order.
   */
  translateArray(key, options) {
    let string = this.locale.strings[key];
    if (string == null) {
      this.#onMissingKey(key);
      string = key;
    }
    const hasPluralForms = typeof string === "object";
    if (hasPluralForms) {
      if (options && typeof options.smart_count !== "undefined") {
        const plural = this.locale.pluralize(options.smart_count);
        return interpolate(string[plural], options);
      }
      throw new Error("Attempted to use a string with plural forms, but no value was given for %{smart_count}");
    }
    if (typeof string !== "string") {
      throw new Error(`string was not a string`);
    }
    return interpolate(string, options);
  }
};

// node_modules/uppy6-core/lib/utils/truncateString.js
var separator = "...";
function truncateString(string, maxLength) {
  if (maxLength === 0)
    return "";
  if (string.length <= maxLength)
    return string;
  if (maxLength <= separator.length + 1)
    return `${string.slice(0, maxLength - 1)}\u2026`;
  const charsToShow = maxLength - separator.length;
  const frontChars = Math.ceil(charsToShow / 2);
  const backChars = Math.floor(charsToShow / 2);
  return string.slice(0, frontChars) + separator + string.slice(-backChars);
}

// node_modules/preact/dist/preact.module.js
var n;
var l;
var u;
var t;
var i;
var r;
var o;
var e;
var f;
var c;
var a;
var s;
var h;
var p;
var v;
var y;
var d = {};
var w = [];
var _ = /acit|ex(?:s|g|n|p|$)|rph|grid|ows|mnc|ntw|ine[ch]|zoo|^ord|itera/i;
var g = Array.isArray;
function m(n3, l4) {
  for (var u5 in l4) n3[u5] = l4[u5];
  return n3;
}
function b(n3) {
  n3 && n3.parentNode && n3.parentNode.removeChild(n3);
}
function k(l4, u5, t4) {
  var i4, r4, o4, e4 = {};
  for (o4 in u5) "key" == o4 ? i4 = u5[o4] : "ref" == o4 ? r4 = u5[o4] : e4[o4] = u5[o4];
  if (arguments.length > 2 && (e4.children = arguments.length > 3 ? n.call(arguments, 2) : t4), "function" == typeof l4 && null != l4.defaultProps) for (o4 in l4.defaultProps) void 0 === e4[o4] && (e4[o4] = l4.defaultProps[o4]);
  return x(l4, e4, i4, r4, null);
}
function x(n3, t4, i4, r4, o4) {
  var e4 = { type: n3, props: t4, key: i4, ref: r4, __k: null, __: null, __b: 0, __e: null, __c: null, constructor: void 0, __v: null == o4 ? ++u : o4, __i: -1, __u: 0 };
  return null == o4 && null != l.vnode && l.vnode(e4), e4;
}
function M() {
  return { current: null };
}
function S(n3) {
  return n3.children;
}
function C(n3, l4) {
  this.props = n3, this.context = l4;
}
function $(n3, l4) {
  if (null == l4) return n3.__ ? $(n3.__, n3.__i + 1) : null;
  for (var u5; l4 < n3.__k.length; l4++) if (null != (u5 = n3.__k[l4]) && null != u5.__e) return u5.__e;
  return "function" == typeof n3.type ? $(n3) : null;
}
function I(n3) {
  if (n3.__P && n3.__d) {
    var u5 = n3.__v, t4 = u5.__e, i4 = [], r4 = [], o4 = m({}, u5);
    o4.__v = u5.__v + 1, l.vnode && l.vnode(o4), q(n3.__P, o4, u5, n3.__n, n3.__P.namespaceURI, 32 & u5.__u ? [t4] : null, i4, null == t4 ? $(u5) : t4, !!(32 & u5.__u), r4), o4.__v = u5.__v, o4.__.__k[o4.__i] = o4, D(i4, o4, r4), u5.__e = u5.__ = null, o4.__e != t4 && P(o4);
  }
}
function P(n3) {
  if (null != (n3 = n3.__) && null != n3.__c) return n3.__e = n3.__c.base = null, n3.__k.some(function(l4) {
    if (null != l4 && null != l4.__e) return n3.__e = n3.__c.base = l4.__e;
  }), P(n3);
}
function A(n3) {
  (!n3.__d && (n3.__d = true) && i.push(n3) && !H.__r++ || r != l.debounceRendering) && ((r = l.debounceRendering) || o)(H);
}
function H() {
  try {
    for (var n3, l4 = 1; i.length; ) i.length > l4 && i.sort(e), n3 = i.shift(), l4 = i.length, I(n3);
  } finally {
    i.length = H.__r = 0;
  }
}
function L(n3, l4, u5, t4, i4, r4, o4, e4, f5, c4, a4) {
  var s4, h4, p4, v4, y4, _4, g4 = t4 && t4.__k || w, m4 = l4.length;
  for (f5 = T(u5, l4, g4, f5, m4), s4 = 0; s4 < m4; s4++) null != (p4 = u5.__k[s4]) && (h4 = -1 != p4.__i && g4[p4.__i] || d, p4.__i = s4, _4 = q(n3, p4, h4, i4, r4, o4, e4, f5, c4, a4), v4 = p4.__e, p4.ref && h4.ref != p4.ref && (h4.ref && J(h4.ref, null, p4), a4.push(p4.ref, p4.__c || v4, p4)), null == y4 && null != v4 && (y4 = v4), 4 & p4.__u ? (f5 = j(p4, f5, n3), h4.__e && (h4.__e = null)) : "function" == typeof p4.type && void 0 !== _4 ? f5 = _4 : v4 && (f5 = v4.nextSibling), p4.__u &= -7);
  return u5.__e = y4, f5;
}
function T(n3, l4, u5, t4, i4) {
  var r4, o4, e4, f5, c4, a4 = u5.length, s4 = a4, h4 = 0;
  for (n3.__k = new Array(i4), r4 = 0; r4 < i4; r4++) null != (o4 = l4[r4]) && "boolean" != typeof o4 && "function" != typeof o4 ? ("string" == typeof o4 || "number" == typeof o4 || "bigint" == typeof o4 || o4.constructor == String ? o4 = n3.__k[r4] = x(null, o4, null, null, null) : g(o4) ? o4 = n3.__k[r4] = x(S, { children: o4 }, null, null, null) : void 0 === o4.constructor && o4.__b > 0 ? o4 = n3.__k[r4] = x(o4.type, o4.props, o4.key, o4.ref ? o4.ref : null, o4.__v) : n3.__k[r4] = o4, f5 = r4 + h4, o4.__ = n3, o4.__b = n3.__b + 1, e4 = null, -1 != (c4 = o4.__i = O(o4, u5, f5, s4)) && (s4--, (e4 = u5[c4]) && (e4.__u |= 2)), null == e4 || null == e4.__v ? (-1 == c4 && (i4 > a4 ? h4-- : i4 < a4 && h4++), "function" != typeof o4.type && (o4.__u |= 4)) : c4 != f5 && (c4 == f5 - 1 ? h4-- : c4 == f5 + 1 ? h4++ : (c4 > f5 ? h4-- : h4++, o4.__u |= 4))) : n3.__k[r4] = null;
  if (s4) for (r4 = 0; r4 < a4; r4++) null != (e4 = u5[r4]) && 0 == (2 & e4.__u) && (e4.__e == t4 && (t4 = $(e4)), K(e4, e4));
  return t4;
}
function j(n3, l4, u5) {
  var t4, i4;
  if ("function" == typeof n3.type) {
    for (t4 = n3.__k, i4 = 0; t4 && i4 < t4.length; i4++) t4[i4] && (t4[i4].__ = n3, l4 = j(t4[i4], l4, u5));
    return l4;
  }
  n3.__e != l4 && (l4 && n3.type && !l4.parentNode && (l4 = $(n3)), l4 = u5.insertBefore(n3.__e, l4 || null));
  do {
    l4 = l4 && l4.nextSibling;
  } while (null != l4 && 8 == l4.nodeType);
  return l4;
}
function F(n3, l4) {
  return l4 = l4 || [], null == n3 || "boolean" == typeof n3 || (g(n3) ? n3.some(function(n4) {
    F(n4, l4);
  }) : l4.push(n3)), l4;
}
function O(n3, l4, u5, t4) {
  var i4, r4, o4, e4 = n3.key, f5 = n3.type, c4 = l4[u5], a4 = null != c4 && 0 == (2 & c4.__u);
  if (null === c4 && null == e4 || a4 && e4 == c4.key && f5 == c4.type) return u5;
  if (t4 > (a4 ? 1 : 0)) {
    for (i4 = u5 - 1, r4 = u5 + 1; i4 >= 0 || r4 < l4.length; ) if (null != (c4 = l4[o4 = i4 >= 0 ? i4-- : r4++]) && 0 == (2 & c4.__u) && e4 == c4.key && f5 == c4.type) return o4;
  }
  return -1;
}
function z(n3, l4, u5) {
  "-" == l4[0] ? n3.setProperty(l4, null == u5 ? "" : u5) : n3[l4] = null == u5 ? "" : "number" != typeof u5 || _.test(l4) ? u5 : u5 + "px";
}
function N(n3, l4, u5, t4, i4) {
  var r4, o4;
  n: if ("style" == l4) if ("string" == typeof u5) n3.style.cssText = u5;
  else {
    if ("string" == typeof t4 && (n3.style.cssText = t4 = ""), t4) for (l4 in t4) u5 && l4 in u5 || z(n3.style, l4, "");
    if (u5) for (l4 in u5) t4 && u5[l4] == t4[l4] || z(n3.style, l4, u5[l4]);
  }
  else if ("o" == l4[0] && "n" == l4[1]) r4 = l4 != (l4 = l4.replace(s, "$1")), o4 = l4.toLowerCase(), l4 = o4 in n3 || "onFocusOut" == l4 || "onFocusIn" == l4 ? o4.slice(2) : l4.slice(2), n3.l || (n3.l = {}), n3.l[l4 + r4] = u5, u5 ? t4 ? u5[a] = t4[a] : (u5[a] = h, n3.addEventListener(l4, r4 ? v : p, r4)) : n3.removeEventListener(l4, r4 ? v : p, r4);
  else {
    if ("http://www.w3.org/2000/svg" == i4) l4 = l4.replace(/xlink(H|:h)/, "h").replace(/sName$/, "s");
    else if ("width" != l4 && "height" != l4 && "href" != l4 && "list" != l4 && "form" != l4 && "tabIndex" != l4 && "download" != l4 && "rowSpan" != l4 && "colSpan" != l4 && "role" != l4 && "popover" != l4 && l4 in n3) try {
      n3[l4] = null == u5 ? "" : u5;
      break n;
    } catch (n4) {
    }
    "function" == typeof u5 || (null == u5 || false === u5 && "-" != l4[4] ? n3.removeAttribute(l4) : n3.setAttribute(l4, "popover" == l4 && 1 == u5 ? "" : u5));
  }
}
function V(n3) {
  return function(u5) {
    if (this.l) {
      var t4 = this.l[u5.type + n3];
      if (null == u5[c]) u5[c] = h++;
      else if (u5[c] < t4[a]) return;
      return t4(l.event ? l.event(u5) : u5);
    }
  };
}
function q(n3, u5, t4, i4, r4, o4, e4, f5, c4, a4) {
  var s4, h4, p4, v4, y4, d4, _4, k4, x3, M3, I3, P3, A4, H3, T4, j4, F3 = u5.type;
  if (void 0 !== u5.constructor) return null;
  128 & t4.__u && (c4 = !!(32 & t4.__u), o4 = [f5 = u5.__e = t4.__e]), (s4 = l.__b) && s4(u5);
  n: if ("function" == typeof F3) {
    h4 = e4.length;
    try {
      if (x3 = u5.props, M3 = F3.prototype && F3.prototype.render, I3 = (s4 = F3.contextType) && i4[s4.__c], P3 = s4 ? I3 ? I3.props.value : s4.__ : i4, t4.__c ? k4 = (p4 = u5.__c = t4.__c).__ = p4.__E : (M3 ? u5.__c = p4 = new F3(x3, P3) : (u5.__c = p4 = new C(x3, P3), p4.constructor = F3, p4.render = Q), I3 && I3.sub(p4), p4.state || (p4.state = {}), p4.__n = i4, v4 = p4.__d = true, p4.__h = [], p4._sb = []), M3 && null == p4.__s && (p4.__s = p4.state), M3 && null != F3.getDerivedStateFromProps && (p4.__s == p4.state && (p4.__s = m({}, p4.__s)), m(p4.__s, F3.getDerivedStateFromProps(x3, p4.__s))), y4 = p4.props, d4 = p4.state, p4.__v = u5, v4) M3 && null == F3.getDerivedStateFromProps && null != p4.componentWillMount && p4.componentWillMount(), M3 && null != p4.componentDidMount && p4.__h.push(p4.componentDidMount);
      else {
        if (M3 && null == F3.getDerivedStateFromProps && x3 !== y4 && null != p4.componentWillReceiveProps && p4.componentWillReceiveProps(x3, P3), u5.__v == t4.__v || !p4.__e && null != p4.shouldComponentUpdate && false === p4.shouldComponentUpdate(x3, p4.__s, P3)) {
          u5.__v != t4.__v && (p4.props = x3, p4.state = p4.__s, p4.__d = false), u5.__e = t4.__e, u5.__k = t4.__k, u5.__k.some(function(n4) {
            n4 && (n4.__ = u5);
          }), w.push.apply(p4.__h, p4._sb), p4._sb = [], p4.__h.length && e4.push(p4), f5 = $(t4);
          break n;
        }
        null != p4.componentWillUpdate && p4.componentWillUpdate(x3, p4.__s, P3), M3 && null != p4.componentDidUpdate && p4.__h.push(function() {
          p4.componentDidUpdate(y4, d4, _4);
        });
      }
      if (p4.context = P3, p4.props = x3, p4.__P = n3, p4.__e = false, A4 = l.__r, H3 = 0, M3) p4.state = p4.__s, p4.__d = false, A4 && A4(u5), s4 = p4.render(p4.props, p4.state, p4.context), w.push.apply(p4.__h, p4._sb), p4._sb = [];
      else do {
        p4.__d = false, A4 && A4(u5), s4 = p4.render(p4.props, p4.state, p4.context), p4.state = p4.__s;
      } while (p4.__d && ++H3 < 25);
      p4.state = p4.__s, null != p4.getChildContext && (i4 = m(m({}, i4), p4.getChildContext())), M3 && !v4 && null != p4.getSnapshotBeforeUpdate && (_4 = p4.getSnapshotBeforeUpdate(y4, d4)), T4 = null != s4 && s4.type === S && null == s4.key ? E(s4.props.children) : s4, f5 = L(n3, g(T4) ? T4 : [T4], u5, t4, i4, r4, o4, e4, f5, c4, a4), p4.base = u5.__e, u5.__u &= -161, p4.__h.length && e4.push(p4), k4 && (p4.__E = p4.__ = null);
    } catch (n4) {
      if (e4.length = h4, u5.__v = null, c4 || null != o4) {
        if (n4.then) {
          for (u5.__u |= c4 ? 160 : 128; f5 && 8 == f5.nodeType && f5.nextSibling; ) f5 = f5.nextSibling;
          null != o4 && (o4[o4.indexOf(f5)] = null), u5.__e = f5;
        } else if (null != o4) for (j4 = o4.length; j4--; ) b(o4[j4]);
      } else u5.__e = t4.__e;
      null == u5.__k && (u5.__k = t4.__k || []), n4.then || B(u5), l.__e(n4, u5, t4);
    }
  } else null == o4 && u5.__v == t4.__v ? (u5.__k = t4.__k, u5.__e = t4.__e) : f5 = u5.__e = G(t4.__e, u5, t4, i4, r4, o4, e4, c4, a4);
  return (s4 = l.diffed) && s4(u5), 128 & u5.__u ? void 0 : f5;
}
function B(n3) {
  n3 && (n3.__c && (n3.__c.__e = true), n3.__k && n3.__k.some(B));
}
function D(n3, u5, t4) {
  for (var i4 = 0; i4 < t4.length; i4++) J(t4[i4], t4[++i4], t4[++i4]);
  l.__c && l.__c(u5, n3), n3.some(function(u6) {
    try {
      n3 = u6.__h, u6.__h = [], n3.some(function(n4) {
        n4.call(u6);
      });
    } catch (n4) {
      l.__e(n4, u6.__v);
    }
  });
}
function E(n3) {
  return "object" != typeof n3 || null == n3 || n3.__b > 0 ? n3 : g(n3) ? n3.map(E) : void 0 !== n3.constructor ? null : m({}, n3);
}
function G(u5, t4, i4, r4, o4, e4, f5, c4, a4) {
  var s4, h4, p4, v4, y4, w4, _4, m4 = i4.props || d, k4 = t4.props, x3 = t4.type;
  if ("svg" == x3 ? o4 = "http://www.w3.org/2000/svg" : "math" == x3 ? o4 = "http://www.w3.org/1998/Math/MathML" : o4 || (o4 = "http://www.w3.org/1999/xhtml"), null != e4) {
    for (s4 = 0; s4 < e4.length; s4++) if ((y4 = e4[s4]) && "setAttribute" in y4 == !!x3 && (x3 ? y4.localName == x3 : 3 == y4.nodeType)) {
      u5 = y4, e4[s4] = null;
      break;
    }
  }
  if (null == u5) {
    if (null == x3) return document.createTextNode(k4);
    u5 = document.createElementNS(o4, x3, k4.is && k4), c4 && (l.__m && l.__m(t4, e4), c4 = false), e4 = null;
  }
  if (null == x3) m4 === k4 || c4 && u5.data == k4 || (u5.data = k4);
  else {
    if (e4 = "textarea" == x3 && null != k4.defaultValue ? null : e4 && n.call(u5.childNodes), !c4 && null != e4) for (m4 = {}, s4 = 0; s4 < u5.attributes.length; s4++) m4[(y4 = u5.attributes[s4]).name] = y4.value;
    for (s4 in m4) y4 = m4[s4], "dangerouslySetInnerHTML" == s4 ? p4 = y4 : "children" == s4 || s4 in k4 || "value" == s4 && "defaultValue" in k4 || "checked" == s4 && "defaultChecked" in k4 || N(u5, s4, null, y4, o4);
    for (s4 in k4) y4 = k4[s4], "children" == s4 ? v4 = y4 : "dangerouslySetInnerHTML" == s4 ? h4 = y4 : "value" == s4 ? w4 = y4 : "checked" == s4 ? _4 = y4 : c4 && "function" != typeof y4 || m4[s4] === y4 || N(u5, s4, y4, m4[s4], o4);
    if (h4) c4 || p4 && (h4.__html == p4.__html || h4.__html == u5.innerHTML) || (u5.innerHTML = h4.__html), t4.__k = [];
    else if (p4 && (u5.innerHTML = ""), L("template" == t4.type ? u5.content : u5, g(v4) ? v4 : [v4], t4, i4, r4, "foreignObject" == x3 ? "http://www.w3.org/1999/xhtml" : o4, e4, f5, e4 ? e4[0] : i4.__k && $(i4, 0), c4, a4), null != e4) for (s4 = e4.length; s4--; ) b(e4[s4]);
    c4 && "textarea" != x3 || (s4 = "value", "progress" == x3 && null == w4 ? u5.removeAttribute("value") : null != w4 && (w4 !== u5[s4] || "progress" == x3 && !w4 || "option" == x3 && w4 != m4[s4]) && N(u5, s4, w4, m4[s4], o4), s4 = "checked", null != _4 && _4 != u5[s4] && N(u5, s4, _4, m4[s4], o4));
  }
  return u5;
}
function J(n3, u5, t4) {
  try {
    if ("function" == typeof n3) {
      var i4 = "function" == typeof n3.__u;
      i4 && n3.__u(), i4 && null == u5 || (n3.__u = n3(u5));
    } else n3.current = u5;
  } catch (n4) {
    l.__e(n4, t4);
  }
}
function K(n3, u5, t4) {
  var i4, r4;
  if (l.unmount && l.unmount(n3), (i4 = n3.ref) && (i4.current && i4.current != n3.__e || J(i4, null, u5)), null != (i4 = n3.__c)) {
    if (i4.componentWillUnmount) try {
      i4.componentWillUnmount();
    } catch (n4) {
      l.__e(n4, u5);
    }
    i4.base = i4.__P = i4.__n = null;
  }
  if (i4 = n3.__k) for (r4 = 0; r4 < i4.length; r4++) i4[r4] && K(i4[r4], u5, t4 || "function" != typeof n3.type);
  t4 || b(n3.__e), n3.__c = n3.__ = n3.__e = void 0;
}
function Q(n3, l4, u5) {
  return this.constructor(n3, u5);
}
function R(u5, t4, i4) {
  var r4, o4, e4, f5;
  t4 == document && (t4 = document.documentElement), l.__ && l.__(u5, t4), o4 = (r4 = "function" == typeof i4) ? null : i4 && i4.__k || t4.__k, e4 = [], f5 = [], q(t4, u5 = (!r4 && i4 || t4).__k = k(S, null, [u5]), o4 || d, d, t4.namespaceURI, !r4 && i4 ? [i4] : o4 ? null : t4.firstChild ? n.call(t4.childNodes) : null, e4, !r4 && i4 ? i4 : o4 ? o4.__e : t4.firstChild, r4, f5), D(e4, u5, f5), u5.props.children = null;
}
function W(l4, u5, t4) {
  var i4, r4, o4, e4, f5 = m({}, l4.props);
  for (o4 in l4.type && l4.type.defaultProps && (e4 = l4.type.defaultProps), u5) "key" == o4 ? i4 = u5[o4] : "ref" == o4 ? r4 = u5[o4] : f5[o4] = void 0 === u5[o4] && null != e4 ? e4[o4] : u5[o4];
  return arguments.length > 2 && (f5.children = arguments.length > 3 ? n.call(arguments, 2) : t4), x(l4.type, f5, i4 || l4.key, r4 || l4.ref, null);
}
n = w.slice, l = { __e: function(n3, l4, u5, t4) {
  for (var i4, r4, o4; l4 = l4.__; ) if ((i4 = l4.__c) && !i4.__) try {
    if ((r4 = i4.constructor) && null != r4.getDerivedStateFromError && (i4.setState(r4.getDerivedStateFromError(n3)), o4 = i4.__d), null != i4.componentDidCatch && (i4.componentDidCatch(n3, t4 || {}), o4 = i4.__d), o4) return i4.__E = i4;
  } catch (l5) {
    n3 = l5;
  }
  throw n3;
} }, u = 0, t = function(n3) {
  return null != n3 && void 0 === n3.constructor;
}, C.prototype.setState = function(n3, l4) {
  var u5;
  u5 = null != this.__s && this.__s != this.state ? this.__s : this.__s = m({}, this.state), "function" == typeof n3 && (n3 = n3(m({}, u5), this.props)), n3 && m(u5, n3), null != n3 && this.__v && (l4 && this._sb.push(l4), A(this));
}, C.prototype.forceUpdate = function(n3) {
  this.__v && (this.__e = true, n3 && this.__h.push(n3), A(this));
}, C.prototype.render = S, i = [], o = "function" == typeof Promise ? Promise.prototype.then.bind(Promise.resolve()) : setTimeout, e = function(n3, l4) {
  return n3.__v.__b - l4.__v.__b;
}, H.__r = 0, f = Math.random().toString(8), c = "__d" + f, a = "__a" + f, s = /(PointerCapture)$|Capture$/i, h = 0, p = V(false), v = V(true), y = 0;

// node_modules/preact/jsx-runtime/dist/jsxRuntime.module.js
var f2 = 0;
function u2(e4, t4, n3, o4, i4, u5) {
  t4 || (t4 = {});
  var a4, c4, p4 = t4;
  if ("ref" in p4) for (c4 in p4 = {}, t4) "ref" == c4 ? a4 = t4[c4] : p4[c4] = t4[c4];
  var l4 = { type: e4, props: p4, key: n3, ref: a4, __k: null, __: null, __b: 0, __e: null, __c: null, constructor: void 0, __v: --f2, __i: -1, __u: 0, __source: i4, __self: u5 };
  if ("function" == typeof e4 && (a4 = e4.defaultProps)) for (c4 in a4) void 0 === p4[c4] && (p4[c4] = a4[c4]);
  return l.vnode && l.vnode(l4), l4;
}

// node_modules/preact/hooks/dist/hooks.module.js
var t2;
var r2;
var u3;
var i2;
var o2 = 0;
var f3 = [];
var c2 = l;
var e2 = c2.__b;
var a2 = c2.__r;
var v2 = c2.diffed;
var l2 = c2.__c;
var m2 = c2.unmount;
var p2 = c2.__;
function s2(n3, t4) {
  c2.__h && c2.__h(r2, n3, o2 || t4), o2 = 0;
  var u5 = r2.__H || (r2.__H = { __: [], __h: [] });
  return n3 >= u5.__.length && u5.__.push({}), u5.__[n3];
}
function d2(n3) {
  return o2 = 1, y2(D2, n3);
}
function y2(n3, u5, i4) {
  var o4 = s2(t2++, 2);
  if (o4.t = n3, !o4.__c && (o4.__ = [i4 ? i4(u5) : D2(void 0, u5), function(n4) {
    var t4 = o4.__N ? o4.__N[0] : o4.__[0], r4 = o4.t(t4, n4);
    t4 !== r4 && (o4.__N = [r4, o4.__[1]], o4.__c.setState({}));
  }], o4.__c = r2, !r2.__f)) {
    var f5 = function(n4, t4, r4) {
      if (!o4.__c.__H) return true;
      var u6 = false, i5 = o4.__c.props !== n4;
      if (o4.__c.__H.__.some(function(n5) {
        if (n5.__N) {
          u6 = true;
          var t5 = n5.__[0];
          n5.__ = n5.__N, n5.__N = void 0, t5 !== n5.__[0] && (i5 = true);
        }
      }), c4) {
        var f6 = c4.call(this, n4, t4, r4);
        return u6 ? f6 || i5 : f6;
      }
      return !u6 || i5;
    };
    r2.__f = true;
    var c4 = r2.shouldComponentUpdate, e4 = r2.componentWillUpdate;
    r2.componentWillUpdate = function(n4, t4, r4) {
      if (this.__e) {
        var u6 = c4;
        c4 = void 0, f5(n4, t4, r4), c4 = u6;
      }
      e4 && e4.call(this, n4, t4, r4);
    }, r2.shouldComponentUpdate = f5;
  }
  return o4.__N || o4.__;
}
function h2(n3, u5) {
  var i4 = s2(t2++, 3);
  !c2.__s && C2(i4.__H, u5) && (i4.__ = n3, i4.u = u5, r2.__H.__h.push(i4));
}
function _2(n3, u5) {
  var i4 = s2(t2++, 4);
  !c2.__s && C2(i4.__H, u5) && (i4.__ = n3, i4.u = u5, r2.__h.push(i4));
}
function A2(n3) {
  return o2 = 5, T2(function() {
    return { current: n3 };
  }, []);
}
function T2(n3, r4) {
  var u5 = s2(t2++, 7);
  return C2(u5.__H, r4) && (u5.__ = n3(), u5.__H = r4, u5.__h = n3), u5.__;
}
function q2(n3, t4) {
  return o2 = 8, T2(function() {
    return n3;
  }, t4);
}
function g2() {
  var n3 = s2(t2++, 11);
  if (!n3.__) {
    for (var u5 = r2.__v; null !== u5 && !u5.__m && null !== u5.__; ) u5 = u5.__;
    var i4 = u5.__m || (u5.__m = [0, 0]);
    n3.__ = "P" + i4[0] + "-" + i4[1]++;
  }
  return n3.__;
}
function j2() {
  for (var n3; n3 = f3.shift(); ) {
    var t4 = n3.__H;
    if (n3.__P && t4) try {
      t4.__h.some(z2), t4.__h.some(B2), t4.__h = [];
    } catch (r4) {
      t4.__h = [], c2.__e(r4, n3.__v);
    }
  }
}
c2.__b = function(n3) {
  r2 = null, e2 && e2(n3);
}, c2.__ = function(n3, t4) {
  n3 && t4.__k && t4.__k.__m && (n3.__m = t4.__k.__m), p2 && p2(n3, t4);
}, c2.__r = function(n3) {
  a2 && a2(n3), t2 = 0;
  var i4 = (r2 = n3.__c).__H;
  i4 && (u3 === r2 ? (i4.__h = [], r2.__h = [], i4.__.some(function(n4) {
    n4.__N && (n4.__ = n4.__N), n4.u = n4.__N = void 0;
  })) : (i4.__h.some(z2), i4.__h.some(B2), i4.__h = [], t2 = 0)), u3 = r2;
}, c2.diffed = function(n3) {
  v2 && v2(n3);
  var t4 = n3.__c;
  t4 && t4.__H && (t4.__H.__h.length && (1 !== f3.push(t4) && i2 === c2.requestAnimationFrame || ((i2 = c2.requestAnimationFrame) || w2)(j2)), t4.__H.__.some(function(n4) {
    n4.u && (n4.__H = n4.u, n4.u = void 0);
  })), u3 = r2 = null;
}, c2.__c = function(n3, t4) {
  t4.some(function(n4) {
    try {
      n4.__h.some(z2), n4.__h = n4.__h.filter(function(n5) {
        return !n5.__ || B2(n5);
      });
    } catch (r4) {
      t4.some(function(n5) {
        n5.__h && (n5.__h = []);
      }), t4 = [], c2.__e(r4, n4.__v);
    }
  }), l2 && l2(n3, t4);
}, c2.unmount = function(n3) {
  m2 && m2(n3);
  var t4, r4 = n3.__c;
  r4 && r4.__H && (r4.__H.__.some(function(n4) {
    try {
      z2(n4);
    } catch (n5) {
      t4 = n5;
    }
  }), r4.__H = void 0, t4 && c2.__e(t4, r4.__v));
};
var k2 = "function" == typeof requestAnimationFrame;
function w2(n3) {
  var t4, r4 = function() {
    clearTimeout(u5), k2 && cancelAnimationFrame(t4), setTimeout(n3);
  }, u5 = setTimeout(r4, 35);
  k2 && (t4 = requestAnimationFrame(r4));
}
function z2(n3) {
  var t4 = r2, u5 = n3.__c;
  "function" == typeof u5 && (n3.__c = void 0, u5()), r2 = t4;
}
function B2(n3) {
  var t4 = r2;
  n3.__c = n3.__(), r2 = t4;
}
function C2(n3, t4) {
  return !n3 || n3.length !== t4.length || t4.some(function(t5, r4) {
    return t5 !== n3[r4];
  });
}
function D2(n3, t4) {
  return "function" == typeof t4 ? t4(n3) : t4;
}

// node_modules/uppy6-core/lib/utils/VirtualList.js
var STYLE_INNER = {
  position: "relative",
  // Disabled for our use case: the wrapper elements around FileList already deal with overflow,
  // and this additional property would hide things that we want to show.
  //
  // overflow: 'hidden',
  width: "100%",
  minHeight: "100%"
};
var STYLE_CONTENT = {
  position: "absolute",
  top: 0,
  left: 0,
  // Because the `top` value gets set to some offset, this `height` being 100% would make the scrollbar
  // stretch far beyond the content. For our use case, the content div actually can get its height from
  // the elements inside it, so we don't need to specify a `height` property at all.
  //
  // height: '100%',
  width: "100%",
  overflow: "visible"
};
function VirtualList({ data, rowHeight, renderRow, overscanCount = 10, padding = 4, ...props }) {
  const scrollerRef = A2(null);
  const [offset, setOffset] = d2(0);
  const [height, setHeight] = d2(0);
  h2(() => {
    function resize() {
      if (scrollerRef.current != null && height !== scrollerRef.current.offsetHeight) {
        setHeight(scrollerRef.current.offsetHeight);
      }
    }
    resize();
    window.addEventListener("resize", resize);
    return () => {
      window.removeEventListener("resize", resize);
    };
  }, [height]);
  const handleScroll = q2(() => {
    if (scrollerRef.current)
      setOffset(scrollerRef.current.scrollTop);
  }, []);
  let start = Math.floor(offset / rowHeight);
  let visibleRowCount = Math.floor(height / rowHeight);
  if (overscanCount) {
    start = Math.max(0, start - start % overscanCount);
    visibleRowCount += overscanCount;
  }
  const end = start + visibleRowCount + padding;
  const selection = data.slice(start, end);
  const styleInner = { ...STYLE_INNER, height: data.length * rowHeight };
  const styleContent = { ...STYLE_CONTENT, top: start * rowHeight };
  return u2("div", { onScroll: handleScroll, ref: scrollerRef, ...props, children: u2("div", { role: "presentation", style: styleInner, children: u2("div", { role: "presentation", style: styleContent, children: selection.map(renderRow) }) }) });
}

// node_modules/uppy6-core/lib/BasePlugin.js
var BasePlugin = class {
  uppy;
  opts;
  id;
  defaultLocale;
  i18n;
  i18nArray;
  type;
  VERSION;
  constructor(uppy2, opts) {
    this.uppy = uppy2;
    this.opts = opts ?? {};
  }
  getPluginState() {
    const { plugins } = this.uppy.getState();
    return plugins?.[this.id] || {};
  }
  setPluginState(update) {
    const { plugins } = this.uppy.getState();
    this.uppy.setState({
      plugins: {
        ...plugins,
        [this.id]: {
          ...plugins[this.id],
          ...update
        }
      }
    });
  }
  setOptions(newOpts) {
    this.opts = { ...this.opts, ...newOpts };
    this.setPluginState(void 0);
    this.i18nInit();
  }
  i18nInit() {
    const translator = new Translator([
      this.defaultLocale,
      this.uppy.locale,
      this.opts.locale
    ]);
    this.i18n = translator.translate.bind(translator);
    this.i18nArray = translator.translateArray.bind(translator);
    this.setPluginState(void 0);
  }
  /**
   * Extendable methods
   * ==================
   * These methods are here to serve as an overview of the extendable methods as well as
   * making them not conditional in use, such as `if (this.afterUpdate)`.
   */
  addTarget(_plugin) {
    throw new Error("Extend the addTarget method to add your plugin to another plugin's target");
  }
  install() {
  }
  uninstall() {
  }
  update(_state) {
  }
  // Called after every state update, after everything's mounted. Debounced.
  afterUpdate() {
  }
};

// node_modules/uppy6-core/lib/loggers.js
var justErrorsLogger = {
  debug: () => {
  },
  warn: () => {
  },
  error: (...args) => console.error(`[Uppy] [${getTimeStamp()}]`, ...args)
};
var debugLogger = {
  debug: (...args) => console.debug(`[Uppy] [${getTimeStamp()}]`, ...args),
  warn: (...args) => console.warn(`[Uppy] [${getTimeStamp()}]`, ...args),
  error: (...args) => console.error(`[Uppy] [${getTimeStamp()}]`, ...args)
};

// node_modules/uppy6-core/node_modules/@transloadit/prettier-bytes/dist/prettierBytes.js
var units = ["B", "KB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
function prettierBytes(input, unit) {
  if (typeof input !== "number" || Number.isNaN(input)) {
    throw new TypeError(`Expected a number, got ${typeof input}`);
  }
  const neg = input < 0;
  let num = Math.abs(input);
  if (neg) {
    num = -num;
  }
  if (num === 0) {
    return "0 B";
  }
  const exponent = unit ? units.indexOf(unit) : Math.min(Math.floor(Math.log(num) / Math.log(1024)), units.length - 1);
  const value = Number(num / 1024 ** exponent);
  const displayUnit = units[exponent];
  if (exponent >= 3) {
    return value % 1 === 0 ? `${Math.round(value)} ${displayUnit}` : `${value.toFixed(2)} ${displayUnit}`;
  }
  return `${value >= 10 || value % 1 === 0 ? Math.round(value) : value.toFixed(1)} ${displayUnit}`;
}

// node_modules/uppy6-core/lib/Restricter.js
var import_mime_match = __toESM(require_mime_match(), 1);
var defaultOptions = {
  maxFileSize: null,
  minFileSize: null,
  maxTotalFileSize: null,
  maxNumberOfFiles: null,
  minNumberOfFiles: null,
  allowedFileTypes: null,
  requiredMetaFields: []
};
var RestrictionError = class extends Error {
  isUserFacing;
  file;
  constructor(message, opts) {
    super(message);
    this.isUserFacing = opts?.isUserFacing ?? true;
    if (opts?.file) {
      this.file = opts.file;
    }
  }
  isRestriction = true;
};
var Restricter = class {
  getI18n;
  getOpts;
  constructor(getOpts, getI18n) {
    this.getI18n = getI18n;
    this.getOpts = () => {
      const opts = getOpts();
      if (opts.restrictions?.allowedFileTypes != null && !Array.isArray(opts.restrictions.allowedFileTypes)) {
        throw new TypeError("`restrictions.allowedFileTypes` must be an array");
      }
      return opts;
    };
  }
  // Because these operations are slow, we cannot run them for every file (if we are adding multiple files)
  validateAggregateRestrictions(existingFiles, addingFiles) {
    const { maxTotalFileSize, maxNumberOfFiles } = this.getOpts().restrictions;
    if (maxNumberOfFiles) {
      const nonGhostFiles = existingFiles.filter((f5) => !f5.isGhost);
      if (nonGhostFiles.length + addingFiles.length > maxNumberOfFiles) {
        throw new RestrictionError(`${this.getI18n()("youCanOnlyUploadX", {
          smart_count: maxNumberOfFiles
        })}`);
      }
    }
    if (maxTotalFileSize) {
      const totalFilesSize = [...existingFiles, ...addingFiles].reduce((total, f5) => total + (f5.size ?? 0), 0);
      if (totalFilesSize > maxTotalFileSize) {
        throw new RestrictionError(this.getI18n()("aggregateExceedsSize", {
          sizeAllowed: prettierBytes(maxTotalFileSize),
          size: prettierBytes(totalFilesSize)
        }));
      }
    }
  }
  validateSingleFile(file) {
    const { maxFileSize, minFileSize, allowedFileTypes } = this.getOpts().restrictions;
    if (allowedFileTypes) {
      const isCorrectFileType = allowedFileTypes.some((type) => {
        if (type.includes("/")) {
          if (!file.type)
            return false;
          return (0, import_mime_match.default)(file.type.replace(/;.*?$/, ""), type);
        }
        if (type[0] === "." && file.extension) {
          return file.extension.toLowerCase() === type.slice(1).toLowerCase();
        }
        return false;
      });
      if (!isCorrectFileType) {
        const allowedFileTypesString = allowedFileTypes.join(", ");
        throw new RestrictionError(this.getI18n()("youCanOnlyUploadFileTypes", {
          types: allowedFileTypesString
        }), { file });
      }
    }
    if (maxFileSize && file.size != null && file.size > maxFileSize) {
      throw new RestrictionError(this.getI18n()("exceedsSize", {
        size: prettierBytes(maxFileSize),
        file: file.name ?? this.getI18n()("unnamed")
      }), { file });
    }
    if (minFileSize && file.size != null && file.size < minFileSize) {
      throw new RestrictionError(this.getI18n()("inferiorSize", {
        size: prettierBytes(minFileSize)
      }), { file });
    }
  }
  validate(existingFiles, addingFiles) {
    addingFiles.forEach((addingFile) => {
      this.validateSingleFile(addingFile);
    });
    this.validateAggregateRestrictions(existingFiles, addingFiles);
  }
  validateMinNumberOfFiles(files) {
    const { minNumberOfFiles } = this.getOpts().restrictions;
    if (minNumberOfFiles && Object.keys(files).length < minNumberOfFiles) {
      throw new RestrictionError(this.getI18n()("youHaveToAtLeastSelectX", {
        smart_count: minNumberOfFiles
      }));
    }
  }
  getMissingRequiredMetaFields(file) {
    const error = new RestrictionError(this.getI18n()("missingRequiredMetaFieldOnFile", {
      fileName: file.name ?? this.getI18n()("unnamed")
    }));
    const { requiredMetaFields } = this.getOpts().restrictions;
    const missingFields = [];
    for (const field of requiredMetaFields) {
      if (!Object.hasOwn(file.meta, field) || file.meta[field] === "") {
        missingFields.push(field);
      }
    }
    return { missingFields, error };
  }
};

// node_modules/uppy6-core/lib/UIPlugin.js
function debounce(fn) {
  let calling = null;
  let latestArgs;
  return (...args) => {
    latestArgs = args;
    if (!calling) {
      calling = Promise.resolve().then(() => {
        calling = null;
        return fn(...latestArgs);
      });
    }
    return calling;
  };
}
var UIPlugin = class _UIPlugin extends BasePlugin {
  #updateUI;
  isTargetDOMEl;
  el = null;
  parent;
  title;
  getTargetPlugin(target2) {
    let targetPlugin;
    if (typeof target2?.addTarget === "function") {
      targetPlugin = target2;
      if (!(targetPlugin instanceof _UIPlugin)) {
        console.warn(new Error("The provided plugin is not an instance of UIPlugin. This is an indication of a bug with the way Uppy is bundled.", { cause: { targetPlugin, UIPlugin: _UIPlugin } }));
      }
    } else if (typeof target2 === "function") {
      const Target = target2;
      this.uppy.iteratePlugins((p4) => {
        if (p4 instanceof Target) {
          targetPlugin = p4;
        }
      });
    }
    return targetPlugin;
  }
  /**
   * Check if supplied `target` is a DOM element or an `object`.
   * If it’s an object — target is a plugin, and we search `plugins`
   * for a plugin with same name and return its target.
   */
  mount(target2, plugin) {
    const callerPluginName = plugin.id;
    const targetElement = findDOMElement_default(target2);
    if (targetElement) {
      this.isTargetDOMEl = true;
      const uppyRootElement = document.createElement("div");
      uppyRootElement.classList.add("uppy-Root");
      this.#updateUI = debounce((state) => {
        if (!this.uppy.getPlugin(this.id))
          return;
        R(this.render(state, uppyRootElement), uppyRootElement);
        this.afterUpdate();
      });
      this.uppy.log(`Installing ${callerPluginName} to a DOM element '${target2}'`);
      if (this.opts.replaceTargetContent) {
        targetElement.innerHTML = "";
      }
      R(this.render(this.uppy.getState(), uppyRootElement), uppyRootElement);
      this.el = uppyRootElement;
      targetElement.appendChild(uppyRootElement);
      uppyRootElement.dir = this.opts.direction || getTextDirection_default(uppyRootElement) || "ltr";
      this.onMount();
      return this.el;
    }
    const targetPlugin = this.getTargetPlugin(target2);
    if (targetPlugin) {
      this.uppy.log(`Installing ${callerPluginName} to ${targetPlugin.id}`);
      this.parent = targetPlugin;
      this.el = targetPlugin.addTarget(plugin);
      this.onMount();
      return this.el;
    }
    this.uppy.log(`Not installing ${callerPluginName}`);
    let message = `Invalid target option given to ${callerPluginName}.`;
    if (typeof target2 === "function") {
      message += " The given target is not a Plugin class. Please check that you're not specifying a React Component instead of a plugin. If you are using @uppy/* packages directly, make sure you have only 1 version of @uppy/core installed: run `npm ls @uppy/core` on the command line and verify that all the versions match and are deduped correctly.";
    } else {
      message += "If you meant to target an HTML element, please make sure that the element exists. Check that the <script> tag initializing Uppy is right before the closing </body> tag at the end of the page. (see https://github.com/transloadit/uppy/issues/1042)\n\nIf you meant to target a plugin, please confirm that your `import` statements or `require` calls are correct.";
    }
    throw new Error(message);
  }
  /**
   * Called when plugin is mounted, whether in DOM or into another plugin.
   * Needed because sometimes plugins are mounted separately/after `install`,
   * so this.el and this.parent might not be available in `install`.
   * This is the case with @uppy/react plugins, for example.
   */
  render(_state, _container) {
    throw new Error("Extend the render method to add your plugin to a DOM element");
  }
  update(state) {
    if (this.el != null) {
      this.#updateUI?.(state);
    }
  }
  unmount() {
    if (this.isTargetDOMEl && this.el) {
      R(null, this.el);
      this.el.remove();
    }
    this.onUnmount();
  }
  onMount() {
  }
  onUnmount() {
  }
};
var UIPlugin_default = UIPlugin;

// node_modules/uppy6-core/lib/Uppy.js
var import_throttle = __toESM(require_throttle(), 1);
var import_namespace_emitter = __toESM(require_namespace_emitter(), 1);

// node_modules/uppy6-core/node_modules/nanoid/url-alphabet/index.js
var urlAlphabet = "57X6y3wQZNzYjJB2L_10pxbackgroundhimselfUTF-8DEMOGRAPHICSVqvt4KW9";

// node_modules/uppy6-core/node_modules/nanoid/non-secure/index.js
var nanoid = (size = 21) => {
  let id = "";
  let i4 = size | 0;
  while (i4-- > 0) {
    id += urlAlphabet[Math.random() * 64 | 0];
  }
  return id;
};

// node_modules/uppy6-core/package.json
var package_default = {
  name: "@uppy/core",
  description: "Core module for the extensible JavaScript file upload widget with support for drag&drop, resumable uploads, previews, restrictions, file processing/encoding, remote providers like Dropbox, Google Drive, S3 and more :dog:",
  version: "6.3.1",
  license: "MIT",
  style: "dist/style.min.css",
  type: "module",
  sideEffects: [
    "*.css"
  ],
  scripts: {
    build: "tsc --build tsconfig.build.json",
    "build:css": "sass --load-path=../../ src/style.scss dist/style.css && sass --load-path=../../ src/provider-views/style.scss dist/provider-views.css && postcss dist/style.css -u cssnano --map -o dist/style.min.css && postcss dist/provider-views.css -u cssnano --map -o dist/provider-views.min.css",
    typecheck: "tsc --build",
    test: "vitest run --silent='passed-only'"
  },
  keywords: [
    "file uploader",
    "uppy",
    "uppy-plugin"
  ],
  homepage: "https://uppy.io",
  bugs: {
    url: "https://github.com/transloadit/uppy/issues"
  },
  repository: {
    type: "git",
    url: "git+https://github.com/transloadit/uppy.git"
  },
  files: [
    "src",
    "lib",
    "dist",
    "CHANGELOG.md"
  ],
  exports: {
    ".": "./lib/index.js",
    "./css/style.min.css": "./dist/style.min.css",
    "./css/style.css": "./dist/style.css",
    "./css/style.scss": "./src/style.scss",
    "./store-default": "./lib/store/index.js",
    "./utils": "./lib/utils/index.js",
    "./utils/preact": "./lib/utils/preact/index.js",
    "./utils/preact/hooks": "./lib/utils/preact/hooks.js",
    "./companion-client": "./lib/companion-client/index.js",
    "./provider-views": "./lib/provider-views/index.js",
    "./provider-views/css/style.min.css": "./dist/provider-views.min.css",
    "./provider-views/css/style.css": "./dist/provider-views.css",
    "./provider-views/css/style.scss": "./src/provider-views/style.scss",
    "./package.json": "./package.json"
  },
  dependencies: {
    "@transloadit/prettier-bytes": "^2.0.0",
    classnames: "^2.5.1",
    lodash: "^4.18.1",
    "mime-match": "^1.0.2",
    "namespace-emitter": "^2.0.1",
    nanoid: "^6.0.1",
    "p-queue": "^9.3.3",
    "p-retry": "^8.0.0",
    preact: "^10.29.2",
    "type-fest": "^5.10.0"
  },
  devDependencies: {
    "@types/deep-freeze": "^0",
    "@types/gapi": "^0.0.47",
    "@types/google.accounts": "^0.0.18",
    "@types/google.picker": "^0.0.52",
    "@types/lodash": "^4.17.25",
    "@types/mime-match": "^1.0.0",
    "@types/namespace-emitter": "^2.0.0",
    "@types/node": "^22.20.1",
    "@uppy-dev/tsconfig": "^0.0.0",
    "@vitest/browser-playwright": "^5.0.3",
    cssnano: "^8.0.1",
    "deep-freeze": "^0.0.1",
    msw: "^3.0.2",
    playwright: "1.64.0",
    postcss: "^8.5.23",
    "postcss-cli": "^11.0.1",
    sass: "^1.89.2",
    typescript: "^6.0.3",
    vite: "^8.3.4",
    vitest: "^5.0.3"
  }
};

// node_modules/uppy6-core/lib/getFileName.js
function getFileName(fileType, fileDescriptor) {
  if (fileDescriptor.name) {
    return fileDescriptor.name;
  }
  if (fileType.split("/")[0] === "image") {
    return `${fileType.split("/")[0]}.${fileType.split("/")[1]}`;
  }
  return "noname";
}

// node_modules/uppy6-core/lib/locale.js
var locale_default = {
  strings: {
    addBulkFilesFailed: {
      0: "Failed to add %{smart_count} file due to an internal error",
      1: "Failed to add %{smart_count} files due to internal errors"
    },
    youCanOnlyUploadX: {
      0: "You can only upload %{smart_count} file",
      1: "You can only upload %{smart_count} files"
    },
    youHaveToAtLeastSelectX: {
      0: "You have to select at least %{smart_count} file",
      1: "You have to select at least %{smart_count} files"
    },
    aggregateExceedsSize: "You selected %{size} of files, but maximum allowed size is %{sizeAllowed}",
    exceedsSize: "%{file} exceeds maximum allowed size of %{size}",
    missingRequiredMetaField: "Missing required meta fields",
    missingRequiredMetaFieldOnFile: "Missing required meta fields in %{fileName}",
    inferiorSize: "This file is smaller than the allowed size of %{size}",
    youCanOnlyUploadFileTypes: "You can only upload: %{types}",
    noMoreFilesAllowed: "Cannot add more files",
    noDuplicates: "Cannot add the duplicate file '%{fileName}', it already exists",
    companionError: "Connection with Companion failed",
    actionFailed: "The action failed",
    authAborted: "Authentication aborted",
    googleDrivePickerFailed: "Google Drive could not be loaded. If this keeps happening, try allowing third-party cookies for this site.",
    companionUnauthorizeHint: "To unauthorize to your %{provider} account, please go to %{url}",
    failedToUpload: "Failed to upload %{file}",
    noInternetConnection: "No Internet connection",
    connectedToInternet: "Connected to the Internet",
    // Strings for remote providers
    noFilesFound: "You have no files or folders here",
    noSearchResults: "Unfortunately, there are no results for this search",
    selectX: {
      0: "Select %{smart_count}",
      1: "Select %{smart_count}"
    },
    allFilesFromFolderNamed: "All files from folder %{name}",
    openFolderNamed: "Open folder %{name}",
    itemActionsNamed: "Actions for %{name}",
    cancel: "Cancel",
    dialogConfirm: "OK",
    logOut: "Log out",
    logIn: "Log in",
    pickFiles: "Pick files",
    pickPhotos: "Pick photos",
    filter: "Filter",
    resetFilter: "Reset filter",
    loading: "Loading...",
    loadedXFiles: "Loaded %{numFiles} files",
    authenticateWithTitle: "Please authenticate with %{pluginName} to select files",
    authenticateWith: "Connect to %{pluginName}",
    signInWithGoogle: "Sign in with Google",
    searchImages: "Search for images",
    enterTextToSearch: "Enter text to search for images",
    search: "Search",
    resetSearch: "Reset search",
    emptyFolderAdded: "No files were added from empty folder",
    addedNumFiles: "Added %{numFiles} file(s)",
    folderAlreadyAdded: 'The folder "%{folder}" was already added',
    folderAdded: {
      0: "Added %{smart_count} file from %{folder}",
      1: "Added %{smart_count} files from %{folder}"
    },
    additionalRestrictionsFailed: "%{count} additional restrictions were not fulfilled",
    unnamed: "Unnamed",
    pleaseWait: "Please wait",
    // Errors from Companion's S3 provider, which reports them as locale keys.
    s3AlreadyExists: "A file or folder with that name already exists",
    s3Conflict: "The file changed while it was being moved. Refresh the folder and try again",
    s3DestinationMustBeFile: "The destination of a file must be a file path",
    s3FileTooLargeToMove: "Files larger than 5 GB cannot be moved or renamed here",
    s3FolderMoveNotSupported: "Folders have to be moved item by item",
    s3FolderIntoItself: "A folder cannot be moved into itself",
    s3FolderNotEmpty: "The folder is not empty",
    s3InvalidGrant: "Your access to this storage could not be verified",
    s3InvalidName: "That name is not allowed",
    s3NotConfigured: "This storage is not available",
    s3NotFound: "The file or folder no longer exists",
    s3OutsideAllowedFolder: "That path is outside the folder you have access to",
    s3ReadOnlySession: "Your session is read-only",
    s3RequestFailed: "The storage request failed",
    s3SelectedInOtherSession: "This file was selected in another storage session. Reconnect and select it again",
    webdavCannotConnect: "Cannot connect to server"
  }
};

// node_modules/uppy6-core/lib/store/index.js
var DefaultStore = class {
  static VERSION = package_default.version;
  state = {};
  #callbacks = /* @__PURE__ */ new Set();
  getState() {
    return this.state;
  }
  setState(patch) {
    const prevState = { ...this.state };
    const nextState = { ...this.state, ...patch };
    this.state = nextState;
    this.#publish(prevState, nextState, patch);
  }
  subscribe(listener) {
    this.#callbacks.add(listener);
    return () => {
      this.#callbacks.delete(listener);
    };
  }
  #publish(...args) {
    this.#callbacks.forEach((listener) => {
      listener(...args);
    });
  }
};
var store_default = DefaultStore;

// node_modules/uppy6-core/lib/supportsUploadProgress.js
function supportsUploadProgress(userAgent) {
  if (userAgent == null && typeof navigator !== "undefined") {
    userAgent = navigator.userAgent;
  }
  if (!userAgent)
    return true;
  const m4 = /Edge\/(\d+\.\d+)/.exec(userAgent);
  if (!m4)
    return true;
  const edgeVersion = m4[1];
  const version = edgeVersion.split(".", 2);
  const major = parseInt(version[0], 10);
  const minor = parseInt(version[1], 10);
  if (major < 15 || major === 15 && minor < 15063) {
    return true;
  }
  if (major > 18 || major === 18 && minor >= 18218) {
    return true;
  }
  return false;
}

// node_modules/uppy6-core/lib/Uppy.js
var defaultUploadState = {
  totalProgress: 0,
  allowNewUpload: true,
  error: null,
  recoveredState: null
};
var Uppy = class _Uppy {
  static VERSION = package_default.version;
  #plugins = /* @__PURE__ */ Object.create(null);
  #restricter;
  #storeUnsubscribe;
  #emitter = (0, import_namespace_emitter.default)();
  #preProcessors = /* @__PURE__ */ new Set();
  #uploaders = /* @__PURE__ */ new Set();
  #postProcessors = /* @__PURE__ */ new Set();
  defaultLocale;
  locale;
  // The user optionally passes in options, but we set defaults for missing options.
  // We consider all options present after the contructor has run.
  opts;
  store;
  // Warning: do not use this from a plugin, as it will cause the plugins' translations to be missing
  i18n;
  i18nArray;
  scheduledAutoProceed = null;
  wasOffline = false;
  /**
   * Instantiate Uppy
   */
  constructor(opts) {
    this.defaultLocale = locale_default;
    const defaultOptions4 = {
      id: "uppy",
      autoProceed: false,
      allowMultipleUploadBatches: true,
      debug: false,
      restrictions: defaultOptions,
      meta: {},
      onBeforeFileAdded: (file, files) => !Object.hasOwn(files, file.id),
      onBeforeUpload: (files) => files,
      store: new store_default(),
      logger: justErrorsLogger,
      infoTimeout: 5e3
    };
    const merged = { ...defaultOptions4, ...opts };
    this.opts = {
      ...merged,
      restrictions: {
        ...defaultOptions4.restrictions,
        ...opts?.restrictions
      }
    };
    if (opts?.logger && opts.debug) {
      this.log("You are using a custom `logger`, but also set `debug: true`, which uses built-in logger to output logs to console. Ignoring `debug: true` and using your custom `logger`.", "warning");
    } else if (opts?.debug) {
      this.opts.logger = debugLogger;
    }
    this.log(`Using Core v${_Uppy.VERSION}`);
    this.i18nInit();
    this.store = this.opts.store;
    this.setState({
      ...defaultUploadState,
      plugins: {},
      files: {},
      currentUploads: {},
      capabilities: {
        uploadProgress: supportsUploadProgress(),
        individualCancellation: true,
        resumableUploads: false
      },
      meta: { ...this.opts.meta },
      info: []
    });
    this.#restricter = new Restricter(() => this.opts, () => this.i18n);
    this.#storeUnsubscribe = this.store.subscribe((prevState, nextState, patch) => {
      this.emit("state-update", prevState, nextState, patch);
      this.updateAll(nextState);
    });
    if (this.opts.debug && typeof window !== "undefined") {
      window[this.opts.id] = this;
    }
    this.#addListeners();
  }
  emit(event, ...args) {
    this.#emitter.emit(event, ...args);
  }
  on(event, callback) {
    this.#emitter.on(event, callback);
    return this;
  }
  once(event, callback) {
    this.#emitter.once(event, callback);
    return this;
  }
  off(event, callback) {
    this.#emitter.off(event, callback);
    return this;
  }
  /**
   * Iterate on all plugins and run `update` on them.
   * Called each time state changes.
   *
   */
  updateAll(state) {
    this.iteratePlugins((plugin) => {
      plugin.update(state);
    });
  }
  /**
   * Updates state with a patch
   */
  setState(patch) {
    this.store.setState(patch);
  }
  /**
   * Returns current state.
   */
  getState() {
    return this.store.getState();
  }
  patchFilesState(filesWithNewState) {
    const existingFilesState = this.getState().files;
    this.setState({
      files: {
        ...existingFilesState,
        ...Object.fromEntries(Object.entries(filesWithNewState).map(([fileID, newFileState]) => [
          fileID,
          {
            ...existingFilesState[fileID],
            ...newFileState
          }
        ]))
      }
    });
  }
  /**
   * Shorthand to set state for a specific file.
   */
  setFileState(fileID, state) {
    if (!this.getState().files[fileID]) {
      throw new Error(`Can\u2019t set state for ${fileID} (the file could have been removed)`);
    }
    this.patchFilesState({ [fileID]: state });
  }
  i18nInit() {
    const onMissingKey = (key) => this.log(`Missing i18n string: ${key}`, "error");
    const translator = new Translator([this.defaultLocale, this.opts.locale], {
      onMissingKey
    });
    this.i18n = translator.translate.bind(translator);
    this.i18nArray = translator.translateArray.bind(translator);
    this.locale = translator.locale;
  }
  setOptions(newOpts) {
    this.opts = {
      ...this.opts,
      ...newOpts,
      restrictions: {
        ...this.opts.restrictions,
        ...newOpts?.restrictions
      }
    };
    if (newOpts.meta) {
      this.setMeta(newOpts.meta);
    }
    this.i18nInit();
    if (newOpts.locale) {
      this.iteratePlugins((plugin) => {
        plugin.setOptions(newOpts);
      });
    }
    this.setState(void 0);
  }
  resetProgress() {
    const defaultProgress = {
      percentage: 0,
      bytesUploaded: false,
      uploadComplete: false,
      uploadStarted: null
    };
    const files = { ...this.getState().files };
    const updatedFiles = /* @__PURE__ */ Object.create(null);
    Object.keys(files).forEach((fileID) => {
      updatedFiles[fileID] = {
        ...files[fileID],
        progress: {
          ...files[fileID].progress,
          ...defaultProgress
        },
        // @ts-expect-error these types are inserted
        // into the namespace in their respective packages
        // but core isn't aware of those
        tus: void 0,
        transloadit: void 0,
        s3Multipart: void 0
      };
    });
    this.setState({ files: updatedFiles, ...defaultUploadState });
  }
  clear() {
    const { capabilities, currentUploads } = this.getState();
    if (Object.keys(currentUploads).length > 0 && !capabilities.individualCancellation) {
      throw new Error("The installed uploader plugin does not allow removing files during an upload.");
    }
    this.setState({ ...defaultUploadState, files: {} });
  }
  addPreProcessor(fn) {
    this.#preProcessors.add(fn);
  }
  removePreProcessor(fn) {
    return this.#preProcessors.delete(fn);
  }
  addPostProcessor(fn) {
    this.#postProcessors.add(fn);
  }
  removePostProcessor(fn) {
    return this.#postProcessors.delete(fn);
  }
  addUploader(fn) {
    this.#uploaders.add(fn);
  }
  removeUploader(fn) {
    return this.#uploaders.delete(fn);
  }
  setMeta(data) {
    const updatedMeta = { ...this.getState().meta, ...data };
    const updatedFiles = { ...this.getState().files };
    Object.keys(updatedFiles).forEach((fileID) => {
      updatedFiles[fileID] = {
        ...updatedFiles[fileID],
        meta: { ...updatedFiles[fileID].meta, ...data }
      };
    });
    this.log("Adding metadata:");
    this.log(data);
    this.setState({
      meta: updatedMeta,
      files: updatedFiles
    });
  }
  setFileMeta(fileID, data) {
    const updatedFiles = { ...this.getState().files };
    if (!updatedFiles[fileID]) {
      this.log(`Was trying to set metadata for a file that has been removed: ${fileID}`);
      return;
    }
    const newMeta = { ...updatedFiles[fileID].meta, ...data };
    updatedFiles[fileID] = { ...updatedFiles[fileID], meta: newMeta };
    this.setState({ files: updatedFiles });
  }
  /**
   * Get a file object.
   */
  getFile(fileID) {
    return this.getState().files[fileID];
  }
  /**
   * Get all files in an array.
   */
  getFiles() {
    const { files } = this.getState();
    return Object.values(files);
  }
  getFilesByIds(ids) {
    return ids.map((id) => this.getFile(id));
  }
  getObjectOfFilesPerState() {
    const { files: filesObject, totalProgress, error } = this.getState();
    const files = Object.values(filesObject);
    const inProgressFiles = [];
    const newFiles = [];
    const startedFiles = [];
    const uploadStartedFiles = [];
    const pausedFiles = [];
    const completeFiles = [];
    const erroredFiles = [];
    const inProgressNotPausedFiles = [];
    const processingFiles = [];
    for (const file of files) {
      const { progress } = file;
      if (!progress.uploadComplete && progress.uploadStarted) {
        inProgressFiles.push(file);
        if (!file.isPaused) {
          inProgressNotPausedFiles.push(file);
        }
      }
      if (!progress.uploadStarted) {
        newFiles.push(file);
      }
      if (progress.uploadStarted || progress.preprocess || progress.postprocess) {
        startedFiles.push(file);
      }
      if (progress.uploadStarted) {
        uploadStartedFiles.push(file);
      }
      if (file.isPaused) {
        pausedFiles.push(file);
      }
      if (progress.uploadComplete) {
        completeFiles.push(file);
      }
      if (file.error) {
        erroredFiles.push(file);
      }
      if (progress.preprocess || progress.postprocess) {
        processingFiles.push(file);
      }
    }
    return {
      newFiles,
      startedFiles,
      uploadStartedFiles,
      pausedFiles,
      completeFiles,
      erroredFiles,
      inProgressFiles,
      inProgressNotPausedFiles,
      processingFiles,
      isUploadStarted: uploadStartedFiles.length > 0,
      isAllComplete: totalProgress === 100 && completeFiles.length === files.length && processingFiles.length === 0,
      isAllErrored: !!error && erroredFiles.length === files.length,
      isAllPaused: inProgressFiles.length !== 0 && pausedFiles.length === inProgressFiles.length,
      isUploadInProgress: inProgressFiles.length > 0,
      isSomeGhost: files.some((file) => file.isGhost)
    };
  }
  #informAndEmit(errors2) {
    for (const error of errors2) {
      if (error.isRestriction) {
        this.emit("restriction-failed", error.file, error);
      } else {
        this.emit("error", error, error.file);
      }
      this.log(error, "warning");
    }
    const userFacingErrors = errors2.filter((error) => error.isUserFacing);
    const maxNumToShow = 4;
    const firstErrors = userFacingErrors.slice(0, maxNumToShow);
    const additionalErrors = userFacingErrors.slice(maxNumToShow);
    firstErrors.forEach(({ message, details = "" }) => {
      this.info({ message, details }, "error", this.opts.infoTimeout);
    });
    if (additionalErrors.length > 0) {
      this.info({
        message: this.i18n("additionalRestrictionsFailed", {
          count: additionalErrors.length
        })
      });
    }
  }
  validateRestrictions(file, files = this.getFiles()) {
    try {
      this.#restricter.validate(files, [file]);
    } catch (err) {
      return err;
    }
    return null;
  }
  validateSingleFile(file) {
    try {
      this.#restricter.validateSingleFile(file);
    } catch (err) {
      return getErrorMessage(err);
    }
    return null;
  }
  validateAggregateRestrictions(files) {
    const existingFiles = this.getFiles();
    try {
      this.#restricter.validateAggregateRestrictions(existingFiles, files);
    } catch (err) {
      return getErrorMessage(err);
    }
    return null;
  }
  #checkRequiredMetaFieldsOnFile(file) {
    const { missingFields, error } = this.#restricter.getMissingRequiredMetaFields(file);
    if (missingFields.length > 0) {
      this.setFileState(file.id, {
        missingRequiredMetaFields: missingFields,
        error: error.message
      });
      this.log(error.message);
      this.emit("restriction-failed", file, error);
      return false;
    }
    if (missingFields.length === 0 && file.missingRequiredMetaFields) {
      this.setFileState(file.id, {
        missingRequiredMetaFields: []
      });
    }
    return true;
  }
  #checkRequiredMetaFields(files) {
    let success = true;
    for (const file of Object.values(files)) {
      if (!this.#checkRequiredMetaFieldsOnFile(file)) {
        success = false;
      }
    }
    return success;
  }
  #assertNewUploadAllowed(file) {
    const { allowNewUpload } = this.getState();
    if (allowNewUpload === false) {
      const error = new RestrictionError(this.i18n("noMoreFilesAllowed"), {
        file
      });
      this.#informAndEmit([error]);
      throw error;
    }
  }
  checkIfFileAlreadyExists(fileID) {
    const { files } = this.getState();
    if (files[fileID] && !files[fileID].isGhost) {
      return true;
    }
    return false;
  }
  /**
   * Create a file state object based on user-provided `addFile()` options.
   */
  #transformFile(fileDescriptorOrFile) {
    const file = fileDescriptorOrFile instanceof File ? {
      name: fileDescriptorOrFile.name,
      type: fileDescriptorOrFile.type,
      size: fileDescriptorOrFile.size,
      data: fileDescriptorOrFile,
      meta: {},
      isRemote: false,
      source: void 0,
      preview: void 0
    } : fileDescriptorOrFile;
    const fileType = getFileType(file);
    const fileName = getFileName(fileType, file);
    const fileExtension = getFileNameAndExtension(fileName).extension;
    const id = getSafeFileId(file, this.getID());
    const meta = {
      ...file.meta,
      name: fileName,
      type: fileType
    };
    const size = Number.isFinite(file.data.size) ? file.data.size : null;
    return {
      source: file.source || "",
      id,
      name: fileName,
      extension: fileExtension || "",
      meta: {
        ...this.getState().meta,
        ...meta
      },
      type: fileType,
      progress: {
        percentage: 0,
        bytesUploaded: false,
        bytesTotal: size,
        uploadComplete: false,
        uploadStarted: null
      },
      size,
      isGhost: false,
      ...file.isRemote ? {
        isRemote: true,
        remote: file.remote,
        data: file.data
      } : {
        isRemote: false,
        data: file.data
      },
      preview: file.preview
    };
  }
  // Schedule an upload if `autoProceed` is enabled.
  #startIfAutoProceed() {
    if (this.opts.autoProceed && !this.scheduledAutoProceed) {
      this.scheduledAutoProceed = setTimeout(() => {
        this.scheduledAutoProceed = null;
        this.upload().catch((err) => {
          if (!isRestrictionError(err)) {
            this.log(err.stack || err.message || err);
          }
        });
      }, 4);
    }
  }
  #checkAndUpdateFileState(filesToAdd) {
    let { files: existingFiles } = this.getState();
    let nextFilesState = { ...existingFiles };
    const validFilesToAdd = [];
    const errors2 = [];
    for (const fileToAdd of filesToAdd) {
      try {
        let newFile = this.#transformFile(fileToAdd);
        this.#assertNewUploadAllowed(newFile);
        const existingFile = existingFiles[newFile.id];
        const isGhost = existingFile?.isGhost;
        if (isGhost && !newFile.isRemote) {
          if (newFile.data == null)
            throw new Error("File data is missing");
          newFile = {
            ...existingFile,
            isGhost: false,
            data: newFile.data
          };
          this.log(`Replaced the blob in the restored ghost file: ${newFile.name}, ${newFile.id}`);
        }
        const onBeforeFileAddedResult = this.opts.onBeforeFileAdded(newFile, nextFilesState);
        existingFiles = this.getState().files;
        nextFilesState = { ...existingFiles, ...nextFilesState };
        if (!onBeforeFileAddedResult && this.checkIfFileAlreadyExists(newFile.id)) {
          throw new RestrictionError(this.i18n("noDuplicates", {
            fileName: newFile.name ?? this.i18n("unnamed")
          }), { file: newFile });
        }
        if (onBeforeFileAddedResult === false && !isGhost) {
          throw new RestrictionError("Cannot add the file because onBeforeFileAdded returned false.", { isUserFacing: false, file: newFile });
        } else if (typeof onBeforeFileAddedResult === "object" && onBeforeFileAddedResult !== null) {
          newFile = onBeforeFileAddedResult;
        }
        this.#restricter.validateSingleFile(newFile);
        nextFilesState[newFile.id] = newFile;
        validFilesToAdd.push(newFile);
      } catch (err) {
        errors2.push(err);
      }
    }
    try {
      this.#restricter.validateAggregateRestrictions(Object.values(existingFiles), validFilesToAdd);
    } catch (err) {
      errors2.push(err);
      return {
        nextFilesState: existingFiles,
        validFilesToAdd: [],
        errors: errors2
      };
    }
    return {
      nextFilesState,
      validFilesToAdd,
      errors: errors2
    };
  }
  /**
   * Add a new file to `state.files`. Runs `onBeforeFileAdded`, guesses the
   * file type, checks the file against restrictions, and starts an upload if
   * `autoProceed === true`.
   *
   * Emits `file-added` and `files-added` with a single-element array. Throws
   * on the first error, including restriction errors. Use `addFiles` for
   * multi-file adds — see its documentation for batch semantics.
   */
  addFile(file) {
    const { nextFilesState, validFilesToAdd, errors: errors2 } = this.#checkAndUpdateFileState([file]);
    const restrictionErrors = errors2.filter((error) => error.isRestriction);
    this.#informAndEmit(restrictionErrors);
    if (errors2.length > 0)
      throw errors2[0];
    this.setState({ files: nextFilesState });
    const [firstValidFileToAdd] = validFilesToAdd;
    this.emit("file-added", firstValidFileToAdd);
    this.emit("files-added", validFilesToAdd);
    this.log(`Added file: ${firstValidFileToAdd.name}, ${firstValidFileToAdd.id}, mime type: ${firstValidFileToAdd.type}`);
    this.#startIfAutoProceed();
    return firstValidFileToAdd.id;
  }
  /**
   * Add multiple files to `state.files`.
   *
   * Emits `file-added` per accepted file and `files-added` once for the batch.
   * Restriction failures emit `restriction-failed` and show an info message
   * without throwing — valid files in the same batch are still added. Any
   * non-restriction error (for example, an exception from `onBeforeFileAdded`)
   * is aggregated into an `AggregateError` (with `.errors`) and thrown
   * *before* state is updated — when this happens, no files from the batch
   * are added and `files-added` is not emitted.
   *
   * Prefer this over calling `addFile` in a loop when adding multiple files:
   * batch listeners on `files-added` fire exactly once, and restriction
   * failures on individual files do not abort the batch. Non-restriction
   * errors still abort the batch before any files are added.
   */
  addFiles(fileDescriptors) {
    const { nextFilesState, validFilesToAdd, errors: errors2 } = this.#checkAndUpdateFileState(fileDescriptors);
    const restrictionErrors = errors2.filter((error) => error.isRestriction);
    this.#informAndEmit(restrictionErrors);
    const nonRestrictionErrors = errors2.filter((error) => !error.isRestriction);
    if (nonRestrictionErrors.length > 0) {
      let message = "Multiple errors occurred while adding files:\n";
      nonRestrictionErrors.forEach((subError) => {
        message += `
 * ${subError.message}`;
      });
      this.info({
        message: this.i18n("addBulkFilesFailed", {
          smart_count: nonRestrictionErrors.length
        }),
        details: message
      }, "error", this.opts.infoTimeout);
      if (typeof AggregateError === "function") {
        throw new AggregateError(nonRestrictionErrors, message);
      } else {
        const err = new Error(message);
        err.errors = nonRestrictionErrors;
        throw err;
      }
    }
    this.setState({ files: nextFilesState });
    validFilesToAdd.forEach((file) => {
      this.emit("file-added", file);
    });
    this.emit("files-added", validFilesToAdd);
    if (validFilesToAdd.length > 5) {
      this.log(`Added batch of ${validFilesToAdd.length} files`);
    } else {
      Object.values(validFilesToAdd).forEach((file) => {
        this.log(`Added file: ${file.name}
 id: ${file.id}
 type: ${file.type}`);
      });
    }
    if (validFilesToAdd.length > 0) {
      this.#startIfAutoProceed();
    }
  }
  removeFiles(fileIDs) {
    const { files, currentUploads } = this.getState();
    const updatedFiles = { ...files };
    const updatedUploads = { ...currentUploads };
    const removedFiles = /* @__PURE__ */ Object.create(null);
    fileIDs.forEach((fileID) => {
      if (files[fileID]) {
        removedFiles[fileID] = files[fileID];
        delete updatedFiles[fileID];
      }
    });
    function fileIsNotRemoved(uploadFileID) {
      return removedFiles[uploadFileID] === void 0;
    }
    Object.keys(updatedUploads).forEach((uploadID) => {
      const newFileIDs = currentUploads[uploadID].fileIDs.filter(fileIsNotRemoved);
      if (newFileIDs.length === 0) {
        delete updatedUploads[uploadID];
        return;
      }
      const { capabilities } = this.getState();
      if (newFileIDs.length !== currentUploads[uploadID].fileIDs.length && !capabilities.individualCancellation) {
        throw new Error("The installed uploader plugin does not allow removing files during an upload.");
      }
      updatedUploads[uploadID] = {
        ...currentUploads[uploadID],
        fileIDs: newFileIDs
      };
    });
    const stateUpdate = {
      currentUploads: updatedUploads,
      files: updatedFiles
    };
    if (Object.keys(updatedFiles).length === 0) {
      stateUpdate.allowNewUpload = true;
      stateUpdate.error = null;
      stateUpdate.recoveredState = null;
    }
    this.setState(stateUpdate);
    this.#updateTotalProgressThrottled();
    const removedFileIDs = Object.keys(removedFiles);
    removedFileIDs.forEach((fileID) => {
      this.emit("file-removed", removedFiles[fileID]);
    });
    if (removedFileIDs.length > 5) {
      this.log(`Removed ${removedFileIDs.length} files`);
    } else {
      this.log(`Removed files: ${removedFileIDs.join(", ")}`);
    }
  }
  removeFile(fileID) {
    this.removeFiles([fileID]);
  }
  pauseResume(fileID) {
    if (!this.getState().capabilities.resumableUploads || this.getFile(fileID).progress.uploadComplete) {
      return void 0;
    }
    const file = this.getFile(fileID);
    const wasPaused = file.isPaused || false;
    const isPaused = !wasPaused;
    this.setFileState(fileID, {
      isPaused
    });
    this.emit("upload-pause", file, isPaused);
    return isPaused;
  }
  pauseAll() {
    const updatedFiles = { ...this.getState().files };
    const inProgressUpdatedFiles = Object.keys(updatedFiles).filter((file) => {
      return !updatedFiles[file].progress.uploadComplete && updatedFiles[file].progress.uploadStarted;
    });
    inProgressUpdatedFiles.forEach((file) => {
      const updatedFile = { ...updatedFiles[file], isPaused: true };
      updatedFiles[file] = updatedFile;
    });
    this.setState({ files: updatedFiles });
    this.emit("pause-all");
  }
  resumeAll() {
    const updatedFiles = { ...this.getState().files };
    const inProgressUpdatedFiles = Object.keys(updatedFiles).filter((file) => {
      return !updatedFiles[file].progress.uploadComplete && updatedFiles[file].progress.uploadStarted;
    });
    inProgressUpdatedFiles.forEach((file) => {
      const updatedFile = {
        ...updatedFiles[file],
        isPaused: false,
        error: null
      };
      updatedFiles[file] = updatedFile;
    });
    this.setState({ files: updatedFiles });
    this.emit("resume-all");
  }
  #getFilesToRetry() {
    const { files } = this.getState();
    return Object.keys(files).filter((fileId) => {
      const file = files[fileId];
      return file.error && (!file.missingRequiredMetaFields || file.missingRequiredMetaFields.length === 0);
    });
  }
  #doRetryAll() {
    const filesToRetry = this.#getFilesToRetry();
    const updatedFiles = { ...this.getState().files };
    filesToRetry.forEach((fileID) => {
      updatedFiles[fileID] = {
        ...updatedFiles[fileID],
        isPaused: false,
        error: null
      };
    });
    this.setState({
      files: updatedFiles,
      error: null
    });
    this.emit("retry-all", this.getFilesByIds(filesToRetry));
    if (filesToRetry.length === 0) {
      return {
        successful: [],
        failed: []
      };
    }
    const uploadID = this.#createUpload(filesToRetry, {
      forceAllowNewUpload: true
      // create new upload even if allowNewUpload: false
    });
    return this.#runUpload(uploadID);
  }
  async retryAll() {
    const result = await this.#doRetryAll();
    this.emit("complete", result);
    return result;
  }
  cancelAll() {
    this.emit("cancel-all");
    const { files } = this.getState();
    const fileIDs = Object.keys(files);
    if (fileIDs.length) {
      this.removeFiles(fileIDs);
    }
    this.setState(defaultUploadState);
  }
  /**
   * Retry a specific file that has errored.
   */
  retryUpload(fileID) {
    this.setFileState(fileID, {
      error: null,
      isPaused: false
    });
    this.emit("upload-retry", this.getFile(fileID));
    const uploadID = this.#createUpload([fileID], {
      forceAllowNewUpload: true
      // create new upload even if allowNewUpload: false
    });
    return this.#runUpload(uploadID);
  }
  logout() {
    this.iteratePlugins((plugin) => {
      ;
      plugin.provider?.logout?.();
    });
  }
  #handleUploadProgress = (file, progress) => {
    const fileInState = file ? this.getFile(file.id) : void 0;
    if (file == null || !fileInState) {
      this.log(`Not setting progress for a file that has been removed: ${file?.id}`);
      return;
    }
    if (fileInState.progress.percentage === 100) {
      this.log(`Not setting progress for a file that has been already uploaded: ${file.id}`);
      return;
    }
    const newProgress = {
      bytesTotal: progress.bytesTotal,
      // bytesTotal may be null or zero; in that case we can't divide by it
      percentage: progress.bytesTotal != null && Number.isFinite(progress.bytesTotal) && progress.bytesTotal > 0 ? Math.round(progress.bytesUploaded / progress.bytesTotal * 100) : void 0
    };
    if (fileInState.progress.uploadStarted != null) {
      this.setFileState(file.id, {
        progress: {
          ...fileInState.progress,
          ...newProgress,
          bytesUploaded: progress.bytesUploaded
        }
      });
    } else {
      this.setFileState(file.id, {
        progress: {
          ...fileInState.progress,
          ...newProgress
        }
      });
    }
    this.#updateTotalProgressThrottled();
  };
  #updateTotalProgress() {
    const totalProgress = this.#calculateTotalProgress();
    let totalProgressPercent = null;
    if (totalProgress != null) {
      totalProgressPercent = Math.round(totalProgress * 100);
      if (totalProgressPercent > 100)
        totalProgressPercent = 100;
      else if (totalProgressPercent < 0)
        totalProgressPercent = 0;
    }
    this.emit("progress", totalProgressPercent ?? 0);
    this.setState({
      totalProgress: totalProgressPercent ?? 0
    });
  }
  // ___Why throttle at 500ms?
  //    - We must throttle at >250ms for superfocus in Dashboard to work well
  //    (because animation takes 0.25s, and we want to wait for all animations to be over before refocusing).
  //    [Practical Check]: if thottle is at 100ms, then if you are uploading a file,
  //    and click 'ADD MORE FILES', - focus won't activate in Firefox.
  //    - We must throttle at around >500ms to avoid performance lags.
  //    [Practical Check] Firefox, try to upload a big file for a prolonged period of time. Laptop will start to heat up.
  #updateTotalProgressThrottled = (0, import_throttle.default)(() => this.#updateTotalProgress(), 500, { leading: true, trailing: true });
  [/* @__PURE__ */ Symbol.for("uppy test: updateTotalProgress")]() {
    return this.#updateTotalProgress();
  }
  #calculateTotalProgress() {
    const files = this.getFiles();
    const filesInProgress = files.filter((file) => {
      return file.progress.uploadStarted || file.progress.preprocess || file.progress.postprocess;
    });
    if (filesInProgress.length === 0) {
      return 0;
    }
    if (filesInProgress.every((file) => file.progress.uploadComplete)) {
      return 1;
    }
    const isSizedFile = (file) => file.progress.bytesTotal != null && file.progress.bytesTotal !== 0;
    const sizedFilesInProgress = filesInProgress.filter(isSizedFile);
    const unsizedFilesInProgress = filesInProgress.filter((file) => !isSizedFile(file));
    if (sizedFilesInProgress.every((file) => file.progress.uploadComplete) && unsizedFilesInProgress.length > 0 && !unsizedFilesInProgress.every((file) => file.progress.uploadComplete)) {
      return null;
    }
    const totalFilesSize = sizedFilesInProgress.reduce((acc, file) => acc + (file.progress.bytesTotal ?? 0), 0);
    const totalUploadedSize = sizedFilesInProgress.reduce((acc, file) => acc + (file.progress.bytesUploaded || 0), 0);
    return totalFilesSize === 0 ? 0 : totalUploadedSize / totalFilesSize;
  }
  /**
   * Registers listeners for all global actions, like:
   * `error`, `file-removed`, `upload-progress`
   */
  #addListeners() {
    const errorHandler = (error, file, response) => {
      let errorMsg = error.message || "Unknown error";
      if (error.details) {
        errorMsg += ` ${error.details}`;
      }
      this.setState({ error: errorMsg });
      if (file != null && file.id in this.getState().files) {
        this.setFileState(file.id, {
          error: errorMsg,
          response
        });
      }
    };
    this.on("error", errorHandler);
    this.on("upload-error", (file, error, response) => {
      errorHandler(error, file, response);
      if (typeof error === "object" && error.message) {
        this.log(error.message, "error");
        const newError = new Error(this.i18n("failedToUpload", { file: file?.name ?? "" }));
        newError.isUserFacing = true;
        newError.details = error.message;
        if (error.details) {
          newError.details += ` ${error.details}`;
        }
        this.#informAndEmit([newError]);
      } else {
        this.#informAndEmit([error]);
      }
    });
    let uploadStalledWarningRecentlyEmitted = null;
    this.on("upload-stalled", (error, files) => {
      const { message } = error;
      const details = files.map((file) => file.meta.name).join(", ");
      if (!uploadStalledWarningRecentlyEmitted) {
        this.info({ message, details }, "warning", this.opts.infoTimeout);
        uploadStalledWarningRecentlyEmitted = setTimeout(() => {
          uploadStalledWarningRecentlyEmitted = null;
        }, this.opts.infoTimeout);
      }
      this.log(`${message} ${details}`.trim(), "warning");
    });
    this.on("upload", () => {
      this.setState({ error: null });
    });
    const onUploadStarted = (files) => {
      const filesFiltered = files.filter((file) => {
        const exists = file != null && this.getFile(file.id);
        if (!exists)
          this.log(`Not setting progress for a file that has been removed: ${file?.id}`);
        return exists;
      });
      const filesState = Object.fromEntries(filesFiltered.map((file) => [
        file.id,
        {
          progress: {
            uploadStarted: Date.now(),
            uploadComplete: false,
            bytesUploaded: 0,
            bytesTotal: file.size
          }
        }
      ]));
      this.patchFilesState(filesState);
    };
    this.on("upload-start", onUploadStarted);
    this.on("upload-progress", this.#handleUploadProgress);
    this.on("upload-success", (file, uploadResp) => {
      if (file == null || !this.getFile(file.id)) {
        this.log(`Not setting progress for a file that has been removed: ${file?.id}`);
        return;
      }
      const currentProgress = this.getFile(file.id).progress;
      const needsPostProcessing = this.#postProcessors.size > 0;
      this.setFileState(file.id, {
        progress: {
          ...currentProgress,
          postprocess: needsPostProcessing ? {
            mode: "indeterminate"
          } : void 0,
          uploadComplete: true,
          ...!needsPostProcessing && { complete: true },
          percentage: 100,
          bytesUploaded: currentProgress.bytesTotal
        },
        response: uploadResp,
        uploadURL: uploadResp.uploadURL,
        isPaused: false
      });
      if (file.size == null) {
        this.setFileState(file.id, {
          size: uploadResp.bytesUploaded || currentProgress.bytesTotal
        });
      }
      this.#updateTotalProgressThrottled();
    });
    this.on("preprocess-progress", (file, progress) => {
      if (file == null || !this.getFile(file.id)) {
        this.log(`Not setting progress for a file that has been removed: ${file?.id}`);
        return;
      }
      this.setFileState(file.id, {
        progress: { ...this.getFile(file.id).progress, preprocess: progress }
      });
    });
    this.on("preprocess-complete", (file) => {
      if (file == null || !this.getFile(file.id)) {
        this.log(`Not setting progress for a file that has been removed: ${file?.id}`);
        return;
      }
      const files = { ...this.getState().files };
      files[file.id] = {
        ...files[file.id],
        progress: { ...files[file.id].progress }
      };
      delete files[file.id].progress.preprocess;
      this.setState({ files });
    });
    this.on("postprocess-progress", (file, progress) => {
      if (file == null || !this.getFile(file.id)) {
        this.log(`Not setting progress for a file that has been removed: ${file?.id}`);
        return;
      }
      this.setFileState(file.id, {
        progress: {
          ...this.getState().files[file.id].progress,
          postprocess: progress
        }
      });
    });
    this.on("postprocess-complete", (fileIn) => {
      const file = fileIn && this.getFile(fileIn.id);
      if (file == null) {
        this.log(`Not setting progress for a file that has been removed: ${fileIn?.id}`);
        return;
      }
      const { postprocess: _deleted, ...newProgress } = file.progress;
      this.patchFilesState({
        [file.id]: {
          progress: {
            ...newProgress,
            complete: true
          }
        }
      });
    });
    this.on("restored", () => {
      this.#updateTotalProgressThrottled();
    });
    this.on("dashboard:file-edit-complete", (file) => {
      if (file) {
        this.#checkRequiredMetaFieldsOnFile(file);
      }
    });
    if (typeof window !== "undefined" && window.addEventListener) {
      window.addEventListener("online", this.#updateOnlineStatus);
      window.addEventListener("offline", this.#updateOnlineStatus);
      setTimeout(this.#updateOnlineStatus, 3e3);
    }
  }
  updateOnlineStatus() {
    const online = window.navigator.onLine ?? true;
    if (!online) {
      this.emit("is-offline");
      this.info(this.i18n("noInternetConnection"), "error", 0);
      this.wasOffline = true;
    } else {
      this.emit("is-online");
      if (this.wasOffline) {
        this.emit("back-online");
        this.info(this.i18n("connectedToInternet"), "success", 3e3);
        this.wasOffline = false;
      }
    }
  }
  #updateOnlineStatus = this.updateOnlineStatus.bind(this);
  getID() {
    return this.opts.id;
  }
  /**
   * Registers a plugin with Core.
   */
  use(Plugin, ...args) {
    if (typeof Plugin !== "function") {
      const msg = `Expected a plugin class, but got ${Plugin === null ? "null" : typeof Plugin}. Please verify that the plugin was imported and spelled correctly.`;
      throw new TypeError(msg);
    }
    const plugin = new Plugin(this, ...args);
    const pluginId = plugin.id;
    if (!pluginId) {
      throw new Error("Your plugin must have an id");
    }
    if (!plugin.type) {
      throw new Error("Your plugin must have a type");
    }
    const existsPluginAlready = this.getPlugin(pluginId);
    if (existsPluginAlready) {
      const msg = `Already found a plugin named '${existsPluginAlready.id}'. Tried to use: '${pluginId}'.
Uppy plugins must have unique \`id\` options.`;
      throw new Error(msg);
    }
    if (Plugin.VERSION) {
      this.log(`Using ${pluginId} v${Plugin.VERSION}`);
    }
    if (plugin.type in this.#plugins) {
      this.#plugins[plugin.type].push(plugin);
    } else {
      this.#plugins[plugin.type] = [plugin];
    }
    plugin.install();
    this.emit("plugin-added", plugin);
    return this;
  }
  getPlugin(id) {
    for (const plugins of Object.values(this.#plugins)) {
      const foundPlugin = plugins.find((plugin) => plugin.id === id);
      if (foundPlugin != null) {
        return foundPlugin;
      }
    }
    return void 0;
  }
  [/* @__PURE__ */ Symbol.for("uppy test: getPlugins")](type) {
    return this.#plugins[type];
  }
  /**
   * Iterate through all `use`d plugins.
   *
   */
  iteratePlugins(method) {
    Object.values(this.#plugins).flat(1).forEach(method);
  }
  /**
   * Uninstall and remove a plugin.
   *
   * @param {object} instance The plugin instance to remove.
   */
  removePlugin(instance) {
    this.log(`Removing plugin ${instance.id}`);
    this.emit("plugin-remove", instance);
    if (instance.uninstall) {
      instance.uninstall();
    }
    const list = this.#plugins[instance.type];
    const index = list.findIndex((item) => item.id === instance.id);
    if (index !== -1) {
      list.splice(index, 1);
    }
    const state = this.getState();
    const updatedState = {
      plugins: {
        ...state.plugins,
        [instance.id]: void 0
      }
    };
    this.setState(updatedState);
  }
  /**
   * Uninstall all plugins and close down this Uppy instance.
   */
  destroy() {
    this.log(`Closing Uppy instance ${this.opts.id}: removing all files and uninstalling plugins`);
    this.cancelAll();
    this.#storeUnsubscribe();
    this.iteratePlugins((plugin) => {
      this.removePlugin(plugin);
    });
    if (typeof window !== "undefined" && window.removeEventListener) {
      window.removeEventListener("online", this.#updateOnlineStatus);
      window.removeEventListener("offline", this.#updateOnlineStatus);
    }
  }
  hideInfo() {
    const { info } = this.getState();
    this.setState({ info: info.slice(1) });
    this.emit("info-hidden");
  }
  /**
   * Set info message in `state.info`, so that UI plugins like `Informer`
   * can display the message.
   */
  info(message, type = "info", duration2 = 3e3) {
    const isComplexMessage = typeof message === "object";
    this.setState({
      info: [
        ...this.getState().info,
        {
          type,
          message: isComplexMessage ? message.message : message,
          details: isComplexMessage ? message.details : null
        }
      ]
    });
    setTimeout(() => this.hideInfo(), duration2);
    this.emit("info-visible");
  }
  /**
   * Passes messages to a function, provided in `opts.logger`.
   * If `opts.logger: Uppy.debugLogger` or `opts.debug: true`, logs to the browser console.
   */
  log(message, type) {
    const { logger } = this.opts;
    switch (type) {
      case "error":
        logger.error(message);
        break;
      case "warning":
        logger.warn(message);
        break;
      default:
        logger.debug(message);
        break;
    }
  }
  // We need to store request clients by a unique ID, so we can share RequestClient instances across files
  // this allows us to do rate limiting and synchronous operations like refreshing provider tokens
  // example: refreshing tokens: if each file has their own requestclient,
  // we don't have any way to synchronize all requests in order to
  // - block all requests
  // - refresh the token
  // - unblock all requests and allow them to run with a the new access token
  // back when we had a requestclient per file, once an access token expired,
  // all 6 files would go ahead and refresh the token at the same time
  // (calling /refresh-token up to 6 times), which will probably fail for some providers
  #requestClientById = /* @__PURE__ */ new Map();
  registerRequestClient(id, client) {
    this.#requestClientById.set(id, client);
  }
  /** @protected */
  getRequestClientForFile(file) {
    if (!("remote" in file && file.remote))
      throw new Error(`Tried to get RequestClient for a non-remote file ${file.id}`);
    const requestClient = this.#requestClientById.get(file.remote.requestClientId);
    if (requestClient == null)
      throw new Error(`requestClientId "${file.remote.requestClientId}" not registered for file "${file.id}"`);
    return requestClient;
  }
  /**
   * Restore an upload by its ID.
   */
  async restore(uploadID) {
    this.log(`Core: Running restored upload "${uploadID}"`);
    const result = await this.#runUpload(uploadID);
    this.emit("complete", result);
    return result;
  }
  /**
   * Create an upload for a bunch of files.
   *
   */
  #createUpload(fileIDs, opts = {}) {
    const { forceAllowNewUpload = false } = opts;
    const { allowNewUpload, currentUploads } = this.getState();
    if (!allowNewUpload && !forceAllowNewUpload) {
      throw new Error("Cannot create a new upload: already uploading.");
    }
    const uploadID = nanoid();
    this.emit("upload", uploadID, this.getFilesByIds(fileIDs));
    this.setState({
      allowNewUpload: this.opts.allowMultipleUploadBatches !== false && this.opts.allowMultipleUploads !== false,
      currentUploads: {
        ...currentUploads,
        [uploadID]: {
          fileIDs,
          step: 0,
          result: {}
        }
      }
    });
    return uploadID;
  }
  [/* @__PURE__ */ Symbol.for("uppy test: createUpload")](...args) {
    return this.#createUpload(...args);
  }
  #getUpload(uploadID) {
    const { currentUploads } = this.getState();
    return currentUploads[uploadID];
  }
  /**
   * Add data to an upload's result object.
   */
  addResultData(uploadID, data) {
    if (!this.#getUpload(uploadID)) {
      this.log(`Not setting result for an upload that has been removed: ${uploadID}`);
      return;
    }
    const { currentUploads } = this.getState();
    const currentUpload = {
      ...currentUploads[uploadID],
      result: { ...currentUploads[uploadID].result, ...data }
    };
    this.setState({
      currentUploads: { ...currentUploads, [uploadID]: currentUpload }
    });
  }
  /**
   * Remove an upload, eg. if it has been canceled or completed.
   *
   */
  #removeUpload(uploadID) {
    const { [uploadID]: _deleted, ...currentUploads } = this.getState().currentUploads;
    this.setState({
      currentUploads
    });
  }
  /**
   * Run an upload. This picks up where it left off in case the upload is being restored.
   */
  async #runUpload(uploadID) {
    const getCurrentUpload = () => {
      const { currentUploads } = this.getState();
      return currentUploads[uploadID];
    };
    let currentUpload = getCurrentUpload();
    if (!currentUpload) {
      throw new Error("Nonexistent upload");
    }
    const steps = [
      ...this.#preProcessors,
      ...this.#uploaders,
      ...this.#postProcessors
    ];
    try {
      for (let step = currentUpload.step || 0; step < steps.length; step++) {
        const fn = steps[step];
        this.setState({
          currentUploads: {
            ...this.getState().currentUploads,
            [uploadID]: {
              ...currentUpload,
              step
            }
          }
        });
        const { fileIDs } = currentUpload;
        await fn(fileIDs, uploadID);
        currentUpload = getCurrentUpload();
        if (!currentUpload) {
          break;
        }
      }
    } catch (err) {
      this.#removeUpload(uploadID);
      throw err;
    }
    if (currentUpload) {
      currentUpload.fileIDs.forEach((fileID) => {
        const file = this.getFile(fileID);
        if (file?.progress.postprocess) {
          this.emit("postprocess-complete", file);
        }
      });
      const files = currentUpload.fileIDs.map((fileID) => this.getFile(fileID));
      const successful = files.filter((file) => !file.error);
      const failed = files.filter((file) => file.error);
      this.addResultData(uploadID, { successful, failed, uploadID });
      currentUpload = getCurrentUpload();
    }
    let result;
    if (currentUpload) {
      result = currentUpload.result;
      this.#removeUpload(uploadID);
    }
    if (result == null) {
      this.log(`Not setting result for an upload that has been removed: ${uploadID}`);
      result = {
        successful: [],
        failed: [],
        uploadID
      };
    }
    return result;
  }
  /**
   * Start an upload for all the files that are not currently being uploaded.
   */
  async upload() {
    if (!this.#plugins.uploader?.length) {
      this.log("No uploader type plugins are used", "warning");
    }
    let { files } = this.getState();
    const filesToRetry = this.#getFilesToRetry();
    if (filesToRetry.length > 0) {
      const retryResult = await this.#doRetryAll();
      const hasNewFiles = this.getFiles().filter((file) => file.progress.uploadStarted == null).length > 0;
      if (!hasNewFiles) {
        this.emit("complete", retryResult);
        return retryResult;
      }
      ;
      ({ files } = this.getState());
    }
    const onBeforeUploadResult = this.opts.onBeforeUpload(files);
    if (onBeforeUploadResult === false) {
      throw new Error("Not starting the upload because onBeforeUpload returned false");
    }
    if (onBeforeUploadResult && typeof onBeforeUploadResult === "object") {
      files = onBeforeUploadResult;
      this.setState({
        files
      });
    }
    try {
      this.#restricter.validateMinNumberOfFiles(files);
      if (!this.#checkRequiredMetaFields(files)) {
        throw new RestrictionError(this.i18n("missingRequiredMetaField"));
      }
      const { currentUploads } = this.getState();
      const currentlyUploadingFiles = Object.values(currentUploads).flatMap((curr) => curr.fileIDs);
      const waitingFileIDs = Object.keys(files).filter((fileID) => {
        const file = this.getFile(fileID);
        return file && !file.progress.uploadStarted && !currentlyUploadingFiles.includes(fileID);
      });
      const uploadID = this.#createUpload(waitingFileIDs);
      const result = await this.#runUpload(uploadID);
      this.emit("complete", result);
      return result;
    } catch (err) {
      this.#informAndEmit([toError(err)]);
      throw err;
    }
  }
};
Uppy.prototype[Symbol.dispose] = Uppy.prototype.destroy;
var Uppy_default = Uppy;

// node_modules/@partway/uppy/dist/index.js
var GONE2 = /* @__PURE__ */ new Set(["UPLOAD_ABORTED", "UPLOAD_NOT_FOUND", "UPLOAD_CONFLICT", "OBJECT_EXISTS", "ABORTED"]);
var Partway = class extends BasePlugin {
  /** Uploads by the id of their file. One that failed stays, for a retry. */
  #uploads = /* @__PURE__ */ new Map();
  constructor(uppy2, options) {
    super(uppy2, options);
    this.type = "uploader";
    this.id = options.id ?? "Partway";
  }
  install() {
    this.#setResumable(true);
    this.uppy.addUploader(this.#uploadFiles);
    this.uppy.on("file-removed", this.#onRemoved);
    this.uppy.on("upload-pause", this.#onPause);
    this.uppy.on("pause-all", this.#onPauseAll);
    this.uppy.on("resume-all", this.#onResumeAll);
  }
  uninstall() {
    this.#setResumable(false);
    this.uppy.removeUploader(this.#uploadFiles);
    this.uppy.off("file-removed", this.#onRemoved);
    this.uppy.off("upload-pause", this.#onPause);
    this.uppy.off("pause-all", this.#onPauseAll);
    this.uppy.off("resume-all", this.#onResumeAll);
  }
  #uploadFiles = async (fileIds) => {
    const files = this.uppy.getFilesByIds(fileIds).filter((file) => !file.error && !file.progress.uploadComplete);
    this.uppy.emit("upload-start", files);
    const queue = files.values();
    const workers = Array.from({ length: Math.min(this.opts.limit ?? 3, files.length) }, async () => {
      for (const file of queue)
        await this.#uploadFile(file);
    });
    await Promise.all(workers);
  };
  async #uploadFile(file) {
    try {
      const upload = this.#uploads.get(file.id) ?? await this.#createUpload(file);
      const completion = this.#isHere(file.id) ? upload.start() : upload.abort();
      if (this.#isHere(file.id) && this.uppy.getFile(file.id).isPaused)
        upload.pause();
      const completed = await completion;
      if (completed !== void 0)
        this.#succeed(file, completed);
    } catch (error) {
      this.#fail(file, error instanceof Error ? error : new Error("the upload failed"));
    }
  }
  async #createUpload(file) {
    if (!(file.data instanceof Blob))
      throw new Error("the file has no data on this page; choose it again");
    const { renewToken: renewToken2, resumeStore } = this.opts;
    const known = renewToken2 && resumeStore && await findUpload(resumeStore, file.data);
    const initialized = known ?? await this.opts.getUpload(file);
    const { gateway, uploadId } = initialized;
    const upload = new Upload(file.data, {
      ...this.opts.upload,
      gateway,
      uploadId,
      ..."token" in initialized ? { token: initialized.token } : {},
      ...renewToken2 ? { onTokenExpired: () => renewToken2(uploadId) } : {},
      ...resumeStore ? { resumeStore } : {},
      onProgress: ({ bytesSent }) => this.#progress(file.id, bytesSent)
    });
    this.#uploads.set(file.id, upload);
    return upload;
  }
  #progress(fileId, bytesUploaded) {
    if (!this.#isHere(fileId))
      return;
    const file = this.uppy.getFile(fileId);
    const uploadStarted = file.progress.uploadStarted ?? 0;
    this.uppy.emit("upload-progress", file, { uploadStarted, bytesUploaded, bytesTotal: file.size });
  }
  #succeed(file, completed) {
    this.#uploads.delete(file.id);
    if (!this.#isHere(file.id))
      return;
    const body = { upload: completed };
    this.uppy.emit("upload-success", this.uppy.getFile(file.id), { status: 200, body });
  }
  #fail(file, error) {
    if (error instanceof UploadError && GONE2.has(error.reason))
      this.#uploads.delete(file.id);
    if (this.#isHere(file.id))
      this.uppy.emit("upload-error", this.uppy.getFile(file.id), error);
  }
  #onRemoved = (file) => {
    const upload = this.#uploads.get(file.id);
    this.#uploads.delete(file.id);
    upload?.abort().catch((error) => this.uppy.log(`[Partway] not discarded: ${String(error)}`, "warning"));
  };
  #onPause = (file, isPaused) => {
    const upload = file && this.#uploads.get(file.id);
    if (isPaused)
      upload?.pause();
    else
      upload?.resume();
  };
  #onPauseAll = () => {
    for (const upload of this.#uploads.values())
      upload.pause();
  };
  #onResumeAll = () => {
    for (const upload of this.#uploads.values())
      upload.resume();
  };
  #isHere(fileId) {
    return fileId in this.uppy.getState().files;
  }
  #setResumable(resumableUploads) {
    const { capabilities } = this.uppy.getState();
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads } });
  }
};
var dist_default = Partway;

// node_modules/uppy6-core/lib/provider-views/useSearchForm.js
function useSearchForm(onSubmit) {
  const submit = q2((ev) => {
    ev.preventDefault();
    onSubmit();
  }, [onSubmit]);
  const [form] = d2(() => {
    const formEl = document.createElement("form");
    formEl.setAttribute("tabindex", "-1");
    formEl.id = nanoid();
    return formEl;
  });
  h2(() => {
    document.body.appendChild(form);
    form.addEventListener("submit", submit);
    return () => {
      form.removeEventListener("submit", submit);
      form.remove();
    };
  }, [form, submit]);
  return { formId: form.id };
}

// node_modules/uppy6-core/lib/provider-views/FilterInput.js
function FilterInput({ value, onChange, onSubmit, inputLabel, i18n }) {
  const { formId } = useSearchForm(onSubmit);
  return u2("section", { className: "uppy-ProviderBrowser-searchFilter", children: [u2("input", { className: "uppy-u-reset uppy-ProviderBrowser-searchFilterInput", type: "search", "aria-label": inputLabel, placeholder: inputLabel, value, onInput: (e4) => onChange(e4.target.value), form: formId, "data-uppy-super-focusable": true }), u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon uppy-ProviderBrowser-searchFilterIcon", width: "12", height: "12", viewBox: "0 0 12 12", children: u2("path", { d: "M8.638 7.99l3.172 3.172a.492.492 0 1 1-.697.697L7.91 8.656a4.977 4.977 0 0 1-2.983.983C2.206 9.639 0 7.481 0 4.819 0 2.158 2.206 0 4.927 0c2.721 0 4.927 2.158 4.927 4.82a4.74 4.74 0 0 1-1.216 3.17zm-3.71.685c2.176 0 3.94-1.726 3.94-3.856 0-2.129-1.764-3.855-3.94-3.855C2.75.964.984 2.69.984 4.819c0 2.13 1.765 3.856 3.942 3.856z" }) }), value && u2("button", { className: "uppy-u-reset uppy-ProviderBrowser-searchFilterReset", type: "button", "aria-label": i18n("resetFilter"), onClick: () => onChange(""), children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", viewBox: "0 0 19 19", children: u2("path", { d: "M17.318 17.232L9.94 9.854 9.586 9.5l-.354.354-7.378 7.378h.707l-.62-.62v.706L9.318 9.94l.354-.354-.354-.354L1.94 1.854v.707l.62-.62h-.706l7.378 7.378.354.354.354-.354 7.378-7.378h-.707l.622.62v-.706L9.854 9.232l-.354.354.354.354 7.378 7.378.708-.707-7.38-7.378v.708l7.38-7.38.353-.353-.353-.353-.622-.622-.353-.353-.354.352-7.378 7.38h.708L2.56 1.23 2.208.88l-.353.353-.622.62-.353.355.352.353 7.38 7.38v-.708l-7.38 7.38-.353.353.352.353.622.622.353.353.354-.353 7.38-7.38h-.708l7.38 7.38z" }) }) })] });
}
var FilterInput_default = FilterInput;

// node_modules/uppy6-core/lib/companion-client/AuthError.js
function isAuthError(err) {
  return err instanceof Error && "isAuthError" in err && err.isAuthError === true;
}

// node_modules/uppy6-core/lib/provider-views/ProviderView/AuthView.js
function GoogleIcon() {
  return u2("svg", { width: "26", height: "26", viewBox: "0 0 26 26", xmlns: "http://www.w3.org/2000/svg", children: u2("g", { fill: "none", "fill-rule": "evenodd", children: [u2("circle", { fill: "#FFF", cx: "13", cy: "13", r: "13" }), u2("path", { d: "M21.64 13.205c0-.639-.057-1.252-.164-1.841H13v3.481h4.844a4.14 4.14 0 01-1.796 2.716v2.259h2.908c1.702-1.567 2.684-3.875 2.684-6.615z", fill: "#4285F4", "fill-rule": "nonzero" }), u2("path", { d: "M13 22c2.43 0 4.467-.806 5.956-2.18l-2.908-2.259c-.806.54-1.837.86-3.048.86-2.344 0-4.328-1.584-5.036-3.711H4.957v2.332A8.997 8.997 0 0013 22z", fill: "#34A853", "fill-rule": "nonzero" }), u2("path", { d: "M7.964 14.71A5.41 5.41 0 017.682 13c0-.593.102-1.17.282-1.71V8.958H4.957A8.996 8.996 0 004 13c0 1.452.348 2.827.957 4.042l3.007-2.332z", fill: "#FBBC05", "fill-rule": "nonzero" }), u2("path", { d: "M13 7.58c1.321 0 2.508.454 3.44 1.345l2.582-2.58C17.463 4.891 15.426 4 13 4a8.997 8.997 0 00-8.043 4.958l3.007 2.332C8.672 9.163 10.656 7.58 13 7.58z", fill: "#EA4335", "fill-rule": "nonzero" }), u2("path", { d: "M4 4h18v18H4z" })] }) });
}
function DefaultForm({ pluginName, i18n, onAuth }) {
  const isGoogleDrive = pluginName === "Google Drive";
  const onSubmit = q2((e4) => {
    e4.preventDefault();
    onAuth();
  }, [onAuth]);
  return u2("form", { onSubmit, children: isGoogleDrive ? u2("button", { type: "submit", className: "uppy-u-reset uppy-c-btn uppy-c-btn-primary uppy-Provider-authBtn uppy-Provider-btn-google", "data-uppy-super-focusable": true, children: [u2(GoogleIcon, {}), i18n("signInWithGoogle")] }) : u2("button", { type: "submit", className: "uppy-u-reset uppy-c-btn uppy-c-btn-primary uppy-Provider-authBtn", "data-uppy-super-focusable": true, children: i18n("authenticateWith", { pluginName }) }) });
}
var defaultRenderForm = ({ pluginName, i18n, onAuth }) => u2(DefaultForm, { pluginName, i18n, onAuth });
function AuthView({ loading, pluginName, pluginIcon, i18n, handleAuth, renderForm = defaultRenderForm }) {
  return u2("div", { className: "uppy-Provider-auth", children: [u2("div", { className: "uppy-Provider-authIcon", children: pluginIcon() }), u2("div", { className: "uppy-Provider-authTitle", children: i18n("authenticateWithTitle", {
    pluginName
  }) }), renderForm({ pluginName, i18n, loading, onAuth: handleAuth })] });
}

// node_modules/uppy6-core/lib/provider-views/ProviderView/ProviderView.js
var import_classnames7 = __toESM(require_classnames(), 1);
var import_debounce = __toESM(require_debounce(), 1);

// node_modules/uppy6-core/lib/companion-client/errorCodes.js
var companionErrorLocaleKeys = {
  S3_ALREADY_EXISTS: "s3AlreadyExists",
  S3_CONFLICT: "s3Conflict",
  S3_DESTINATION_MUST_BE_FILE: "s3DestinationMustBeFile",
  S3_FILE_TOO_LARGE_TO_MOVE: "s3FileTooLargeToMove",
  S3_FOLDER_INTO_ITSELF: "s3FolderIntoItself",
  S3_FOLDER_MOVE_NOT_SUPPORTED: "s3FolderMoveNotSupported",
  S3_FOLDER_NOT_EMPTY: "s3FolderNotEmpty",
  S3_INVALID_GRANT: "s3InvalidGrant",
  S3_INVALID_NAME: "s3InvalidName",
  S3_NOT_CONFIGURED: "s3NotConfigured",
  S3_NOT_FOUND: "s3NotFound",
  S3_OUTSIDE_ALLOWED_FOLDER: "s3OutsideAllowedFolder",
  S3_READ_ONLY_SESSION: "s3ReadOnlySession",
  S3_REQUEST_FAILED: "s3RequestFailed",
  S3_SELECTED_IN_OTHER_SESSION: "s3SelectedInOtherSession",
  WEBDAV_CANNOT_CONNECT: "webdavCannotConnect"
};
function describeCompanionError(i18n, error) {
  const { code } = error;
  if (code && Object.hasOwn(companionErrorLocaleKeys, code))
    return i18n(companionErrorLocaleKeys[code]);
  if (code && error.message === code)
    return i18n("companionError");
  return error.message;
}

// node_modules/uppy6-core/lib/provider-views/Item/components/ItemActionsMenu.js
var appliesToItem = ({ appliesTo = "all" }, file) => appliesTo === "all" || appliesTo === (file.data.isFolder ? "folder" : "file");
function getApplicableActions(actions, file) {
  return actions.filter((action) => appliesToItem(action, file));
}
function ItemActionsMenu({ file, actions, open, onToggle, i18n }) {
  if (!actions.some((action) => appliesToItem(action, file)))
    return null;
  return u2("div", { className: "uppy-ProviderBrowserItem-actions", children: u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-ProviderBrowserItem-actionsBtn", "aria-label": i18n("itemActionsNamed", {
    name: file.data.name ?? i18n("unnamed")
  }), "aria-haspopup": "menu", "aria-expanded": open, onClick: (event) => {
    event.stopPropagation();
    event.preventDefault();
    onToggle(event.currentTarget);
  }, children: u2("svg", { "aria-hidden": "true", width: "16", height: "16", viewBox: "0 0 16 16", focusable: "false", children: [u2("circle", { cx: "3", cy: "8", r: "1.5", fill: "currentColor" }), u2("circle", { cx: "8", cy: "8", r: "1.5", fill: "currentColor" }), u2("circle", { cx: "13", cy: "8", r: "1.5", fill: "currentColor" })] }) }) });
}

// node_modules/uppy6-core/lib/provider-views/Item/components/ItemActionsPopover.js
var import_classnames = __toESM(require_classnames(), 1);

// node_modules/uppy6-core/lib/provider-views/ModalDialog.js
function stopEscapePropagation(event) {
  if (event.key === "Escape")
    event.stopPropagation();
}
var isOnBackdrop = (event) => {
  const dialog = event.currentTarget;
  if (event.target !== dialog)
    return false;
  const rect = dialog.getBoundingClientRect();
  return event.clientX < rect.left || event.clientX > rect.right || event.clientY < rect.top || event.clientY > rect.bottom;
};
function ModalDialog({ onDismiss, children, ...attributes }) {
  const ref = A2(null);
  const pressedBackdrop = A2(false);
  h2(() => {
    const dialog = ref.current;
    if (!dialog)
      return;
    const opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    if (typeof dialog.showModal === "function")
      dialog.showModal();
    else {
      dialog.setAttribute("open", "");
      dialog.querySelector("button")?.focus();
    }
    return () => {
      if (dialog.open && typeof dialog.close === "function")
        dialog.close();
      const { activeElement } = document;
      if (activeElement !== document.body && !dialog.contains(activeElement))
        return;
      if (opener?.isConnected)
        opener.focus();
    };
  }, []);
  return u2("dialog", { ...attributes, ref, onCancel: (event) => {
    event.preventDefault();
    onDismiss();
  }, onPointerDown: (event) => {
    pressedBackdrop.current = isOnBackdrop(event);
  }, onClick: (event) => {
    if (pressedBackdrop.current && isOnBackdrop(event))
      onDismiss();
    pressedBackdrop.current = false;
  }, onKeyDown: (event) => {
    if (event.key !== "Escape" || event.isComposing)
      return;
    event.preventDefault();
    event.stopPropagation();
    onDismiss();
  }, children });
}

// node_modules/uppy6-core/lib/provider-views/Item/components/ItemActionsPopover.js
var GAP = 4;
function ItemActionsPopover({ file, actions, anchor, containerRef, runAction, onClose, i18n }) {
  const menuRef = A2(null);
  const [position, setPosition] = d2(null);
  const reposition = q2(() => {
    const menu = menuRef.current;
    if (!menu)
      return;
    const a4 = anchor.getBoundingClientRect();
    const height = menu.offsetHeight;
    const fitsBelow = a4.bottom + GAP + height <= window.innerHeight;
    const top = fitsBelow ? a4.bottom + GAP : Math.max(0, a4.top - GAP - height);
    setPosition(getComputedStyle(anchor).direction === "rtl" ? { top, left: Math.max(0, a4.left) } : { top, right: Math.max(0, window.innerWidth - a4.right) });
  }, [anchor]);
  _2(reposition, [reposition]);
  h2(() => {
    const menu = menuRef.current;
    const container = containerRef.current;
    if (!menu)
      return;
    const onToggle = (event) => {
      if (event.newState === "closed")
        onClose();
    };
    const controller = new AbortController();
    const { signal } = controller;
    menu.addEventListener("toggle", onToggle, { signal });
    if (typeof menu.showPopover === "function")
      menu.showPopover();
    reposition();
    const onPageScroll = (event) => {
      if (container && event.target instanceof Node && container.contains(event.target)) {
        onClose();
        return;
      }
      reposition();
    };
    window.addEventListener("scroll", onPageScroll, { capture: true, signal });
    window.addEventListener("resize", reposition, { signal });
    menu.querySelector('[role="menuitem"]')?.focus({ preventScroll: true });
    return () => controller.abort();
  }, [containerRef, onClose, reposition]);
  const closeAndRefocus = () => {
    onClose();
    anchor.focus({ preventScroll: true });
  };
  const onKeyDown = (event) => {
    const items = Array.from(menuRef.current?.querySelectorAll('[role="menuitem"]') ?? []);
    const index = items.indexOf(document.activeElement);
    const focusAt = (i4) => {
      event.preventDefault();
      items[(i4 + items.length) % items.length]?.focus({ preventScroll: true });
    };
    switch (event.key) {
      case "Escape":
        stopEscapePropagation(event);
        if (typeof menuRef.current?.hidePopover !== "function")
          closeAndRefocus();
        break;
      case "ArrowDown":
        focusAt(index + 1);
        break;
      case "ArrowUp":
        focusAt(index - 1);
        break;
      case "Home":
        focusAt(0);
        break;
      case "End":
        focusAt(items.length - 1);
        break;
      case "Tab":
        onClose();
        break;
      default:
    }
  };
  return u2("div", { ref: menuRef, className: "uppy-ProviderBrowserItem-actionsMenu", popover: "auto", role: "menu", "aria-label": i18n("itemActionsNamed", {
    name: file.data.name ?? i18n("unnamed")
  }), style: position ? {
    top: `${position.top}px`,
    ..."left" in position ? { left: `${position.left}px` } : { right: `${position.right}px` }
  } : { visibility: "hidden" }, onKeyDown, children: actions.map((action) => u2("button", { type: "button", role: "menuitem", className: (0, import_classnames.default)("uppy-u-reset uppy-c-btn uppy-ProviderBrowserItem-actionsMenuItem", action.danger && "uppy-ProviderBrowserItem-actionsMenuItem--danger"), onClick: (event) => {
    event.stopPropagation();
    event.preventDefault();
    closeAndRefocus();
    runAction(action, file);
  }, children: action.label }, action.id)) });
}

// node_modules/uppy6-core/lib/provider-views/Item/components/useItemMenu.js
function useItemMenu(items) {
  const [opened, setOpened] = d2(null);
  const item = opened ? items.find(({ id }) => id === opened.id) : void 0;
  const open = opened && item ? { item, anchor: opened.anchor } : null;
  const close = q2(() => setOpened(null), []);
  const toggle = q2((id, anchor) => setOpened((current) => current?.id === id ? null : { id, anchor }), []);
  return { open, close, toggle };
}

// node_modules/uppy6-core/lib/provider-views/Item/index.js
var import_classnames2 = __toESM(require_classnames(), 1);

// node_modules/uppy6-core/lib/provider-views/Item/components/ItemIcon.js
function FileIcon() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: 11, height: 14.5, viewBox: "0 0 44 58", children: u2("path", { d: "M27.437.517a1 1 0 0 0-.094.03H4.25C2.037.548.217 2.368.217 4.58v48.405c0 2.212 1.82 4.03 4.03 4.03H39.03c2.21 0 4.03-1.818 4.03-4.03V15.61a1 1 0 0 0-.03-.28 1 1 0 0 0 0-.093 1 1 0 0 0-.03-.032 1 1 0 0 0 0-.03 1 1 0 0 0-.032-.063 1 1 0 0 0-.03-.063 1 1 0 0 0-.032 0 1 1 0 0 0-.03-.063 1 1 0 0 0-.032-.03 1 1 0 0 0-.03-.063 1 1 0 0 0-.063-.062l-14.593-14a1 1 0 0 0-.062-.062A1 1 0 0 0 28 .708a1 1 0 0 0-.374-.157 1 1 0 0 0-.156 0 1 1 0 0 0-.03-.03l-.003-.003zM4.25 2.547h22.218v9.97c0 2.21 1.82 4.03 4.03 4.03h10.564v36.438a2.02 2.02 0 0 1-2.032 2.032H4.25c-1.13 0-2.032-.9-2.032-2.032V4.58c0-1.13.902-2.032 2.03-2.032zm24.218 1.345l10.375 9.937.75.718H30.5c-1.13 0-2.032-.9-2.032-2.03V3.89z" }) });
}
function FolderIcon() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", style: { minWidth: 16, marginRight: 3 }, viewBox: "0 0 276.157 276.157", children: u2("path", { d: "M273.08 101.378c-3.3-4.65-8.86-7.32-15.254-7.32h-24.34V67.59c0-10.2-8.3-18.5-18.5-18.5h-85.322c-3.63 0-9.295-2.875-11.436-5.805l-6.386-8.735c-4.982-6.814-15.104-11.954-23.546-11.954H58.73c-9.292 0-18.638 6.608-21.737 15.372l-2.033 5.752c-.958 2.71-4.72 5.37-7.596 5.37H18.5C8.3 49.09 0 57.39 0 67.59v167.07c0 .886.16 1.73.443 2.52.152 3.306 1.18 6.424 3.053 9.064 3.3 4.652 8.86 7.32 15.255 7.32h188.487c11.395 0 23.27-8.425 27.035-19.18l40.677-116.188c2.11-6.035 1.43-12.164-1.87-16.816zM18.5 64.088h8.864c9.295 0 18.64-6.607 21.738-15.37l2.032-5.75c.96-2.712 4.722-5.373 7.597-5.373h29.565c3.63 0 9.295 2.876 11.437 5.806l6.386 8.735c4.982 6.815 15.104 11.954 23.546 11.954h85.322c1.898 0 3.5 1.602 3.5 3.5v26.47H69.34c-11.395 0-23.27 8.423-27.035 19.178L15 191.23V67.59c0-1.898 1.603-3.5 3.5-3.5zm242.29 49.15l-40.676 116.188c-1.674 4.78-7.812 9.135-12.877 9.135H18.75c-1.447 0-2.576-.372-3.02-.997-.442-.625-.422-1.814.057-3.18l40.677-116.19c1.674-4.78 7.812-9.134 12.877-9.134h188.487c1.448 0 2.577.372 3.02.997.443.625.423 1.814-.056 3.18z" }) });
}
function VideoIcon() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", style: { width: 16, marginRight: 4 }, viewBox: "0 0 58 58", children: [u2("path", { d: "M36.537 28.156l-11-7a1.005 1.005 0 0 0-1.02-.033C24.2 21.3 24 21.635 24 22v14a1 1 0 0 0 1.537.844l11-7a1.002 1.002 0 0 0 0-1.688zM26 34.18V23.82L34.137 29 26 34.18z" }), u2("path", { d: "M57 6H1a1 1 0 0 0-1 1v44a1 1 0 0 0 1 1h56a1 1 0 0 0 1-1V7a1 1 0 0 0-1-1zM10 28H2v-9h8v9zm-8 2h8v9H2v-9zm10 10V8h34v42H12V40zm44-12h-8v-9h8v9zm-8 2h8v9h-8v-9zm8-22v9h-8V8h8zM2 8h8v9H2V8zm0 42v-9h8v9H2zm54 0h-8v-9h8v9z" })] });
}
function ItemIcon({ itemIconString, alt = void 0 }) {
  if (itemIconString === null)
    return null;
  switch (itemIconString) {
    case "file":
      return u2(FileIcon, {});
    case "folder":
      return u2(FolderIcon, {});
    case "video":
      return u2(VideoIcon, {});
    default: {
      return u2("img", { src: itemIconString, alt, referrerPolicy: "no-referrer", loading: "lazy", width: 16, height: 16 });
    }
  }
}

// node_modules/uppy6-core/lib/provider-views/Item/components/GridItem.js
function GridItem({ file, toggleCheckbox, className, isDisabled, restrictionError, showTitles, children = null, i18n, actionsMenu = null }) {
  return u2("li", { className, title: isDisabled && restrictionError ? restrictionError : void 0, children: [u2("input", { type: "checkbox", className: "uppy-u-reset uppy-ProviderBrowserItem-checkbox uppy-ProviderBrowserItem-checkbox--grid", onChange: toggleCheckbox, name: "listitem", id: file.id, checked: file.status === "checked", disabled: isDisabled, "data-uppy-super-focusable": true }), u2("label", { htmlFor: file.id, "aria-label": file.data.name ?? i18n("unnamed"), className: "uppy-u-reset uppy-ProviderBrowserItem-inner", children: [u2(ItemIcon, { itemIconString: file.data.thumbnail || file.data.icon }), showTitles && (file.data.name ?? i18n("unnamed")), children] }), actionsMenu] });
}
var GridItem_default = GridItem;

// node_modules/uppy6-core/lib/provider-views/Item/components/ListItem.js
function ListItem({ file, openFolder, className, isDisabled, restrictionError, toggleCheckbox, showTitles, i18n, actionsMenu = null }) {
  return u2("li", { className, title: file.status !== "checked" && restrictionError ? restrictionError : void 0, children: [u2("input", {
    type: "checkbox",
    className: "uppy-u-reset uppy-ProviderBrowserItem-checkbox",
    onChange: toggleCheckbox,
    // for the <label/>
    name: "listitem",
    id: file.id,
    checked: file.status === "checked",
    "aria-label": file.data.isFolder ? i18n("allFilesFromFolderNamed", {
      name: file.data.name ?? i18n("unnamed")
    }) : null,
    disabled: isDisabled,
    "data-uppy-super-focusable": true
  }), file.data.isFolder ? u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-ProviderBrowserItem-inner", onClick: () => openFolder(file.id), "aria-label": i18n("openFolderNamed", {
    name: file.data.name ?? i18n("unnamed")
  }), children: [u2("div", { className: "uppy-ProviderBrowserItem-iconWrap", children: u2(ItemIcon, { itemIconString: file.data.icon }) }), showTitles && file.data.name ? u2("span", { className: "uppy-truncate-text", children: file.data.name }) : i18n("unnamed")] }) : u2("label", { htmlFor: file.id, className: "uppy-u-reset uppy-ProviderBrowserItem-inner", children: [u2("div", { className: "uppy-ProviderBrowserItem-iconWrap", children: u2(ItemIcon, { itemIconString: file.data.icon }) }), showTitles && u2("span", { className: "uppy-truncate-text", children: file.data.name ?? i18n("unnamed") })] }), actionsMenu] });
}

// node_modules/uppy6-core/lib/provider-views/Item/index.js
function Item(props) {
  const { viewType, toggleCheckbox, showTitles, i18n, openFolder, file, utmSource, actions = [], menuOpen = false, toggleMenu } = props;
  const actionsMenu = actions.length > 0 && toggleMenu ? u2(ItemActionsMenu, { file, actions, open: menuOpen, onToggle: toggleMenu, i18n }) : null;
  const restrictionError = file.type === "folder" ? null : file.restrictionError;
  const isDisabled = !!restrictionError && file.status !== "checked";
  const ourProps = {
    file,
    openFolder,
    toggleCheckbox,
    utmSource,
    i18n,
    viewType,
    showTitles,
    className: (0, import_classnames2.default)("uppy-ProviderBrowserItem", { "uppy-ProviderBrowserItem--disabled": isDisabled }, { "uppy-ProviderBrowserItem--noPreview": file.data.icon === "video" }, { "uppy-ProviderBrowserItem--is-checked": file.status === "checked" }, { "uppy-ProviderBrowserItem--is-partial": file.status === "partial" }),
    isDisabled,
    restrictionError,
    actionsMenu
  };
  switch (viewType) {
    case "grid":
      return u2(GridItem_default, { ...ourProps });
    case "list":
      return u2(ListItem, { ...ourProps });
    case "unsplash":
      return u2(GridItem_default, { ...ourProps, children: u2("a", { href: `${file.data.author.url}?utm_source=${utmSource}&utm_medium=referral`, target: "_blank", rel: "noopener noreferrer", className: "uppy-ProviderBrowserItem-author", tabIndex: -1, children: file.data.author.name }) });
    default:
      throw new Error(`There is no such type ${viewType}`);
  }
}

// node_modules/uppy6-core/lib/provider-views/Browser.js
function Browser(props) {
  const { displayedPartialTree, viewType, toggleCheckbox, handleScroll, showTitles, i18n, isLoading, openFolder, noResultsLabel, virtualList, utmSource, actions = [], runAction } = props;
  const [isShiftKeyPressed, setIsShiftKeyPressed] = d2(false);
  const menu = useItemMenu(displayedPartialTree);
  const bodyRef = A2(null);
  h2(() => {
    const handleKeyUp = (e4) => {
      if (e4.key === "Shift")
        setIsShiftKeyPressed(false);
    };
    const handleKeyDown = (e4) => {
      if (e4.key === "Shift")
        setIsShiftKeyPressed(true);
    };
    document.addEventListener("keyup", handleKeyUp);
    document.addEventListener("keydown", handleKeyDown);
    return () => {
      document.removeEventListener("keyup", handleKeyUp);
      document.removeEventListener("keydown", handleKeyDown);
    };
  }, []);
  if (isLoading) {
    return u2("div", { className: "uppy-Provider-loading", children: u2("span", { role: "status", children: typeof isLoading === "string" ? isLoading : i18n("loading") }) });
  }
  if (displayedPartialTree.length === 0) {
    return u2("div", { className: "uppy-Provider-empty", children: noResultsLabel });
  }
  const renderItem = (item) => u2(Item, { viewType, toggleCheckbox: (event) => {
    event.stopPropagation();
    event.preventDefault();
    document.getSelection()?.removeAllRanges();
    toggleCheckbox(item, isShiftKeyPressed);
  }, showTitles, i18n, openFolder, file: item, utmSource, actions, menuOpen: menu.open?.item.id === item.id, toggleMenu: runAction ? (anchor) => menu.toggle(item.id, anchor) : void 0 }, item.id);
  const popover = menu.open && runAction ? u2(ItemActionsPopover, { file: menu.open.item, actions: getApplicableActions(actions, menu.open.item), anchor: menu.open.anchor, containerRef: bodyRef, runAction, onClose: menu.close, i18n }, menu.open.item.id) : null;
  if (virtualList) {
    return u2("div", { className: "uppy-ProviderBrowser-body", ref: bodyRef, children: [u2(VirtualList, { className: "uppy-ProviderBrowser-list", data: displayedPartialTree, renderRow: renderItem, rowHeight: 35.5 }), popover] });
  }
  return u2("div", { className: "uppy-ProviderBrowser-body", ref: bodyRef, children: [u2("ul", {
    className: "uppy-ProviderBrowser-list",
    onScroll: handleScroll,
    // making <ul> not focusable for firefox
    tabIndex: -1,
    children: displayedPartialTree.map(renderItem)
  }), popover] });
}
var Browser_default = Browser;

// node_modules/uppy6-core/lib/provider-views/FooterActions.js
var import_classnames3 = __toESM(require_classnames(), 1);

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/getNumberOfSelectedFiles.js
var getNumberOfSelectedFiles = (partialTree) => {
  const checkedLeaves = partialTree.filter((item) => {
    if (item.type === "file" && item.status === "checked") {
      return true;
    }
    if (item.type === "folder" && item.status === "checked") {
      const doesItHaveChildren = partialTree.some((i4) => i4.type !== "root" && i4.parentId === item.id);
      return !doesItHaveChildren;
    }
    return false;
  });
  return checkedLeaves.length;
};
var getNumberOfSelectedFiles_default = getNumberOfSelectedFiles;

// node_modules/uppy6-core/lib/provider-views/FooterActions.js
function FooterActions({ cancelSelection, donePicking, i18n, partialTree, validateAggregateRestrictions }) {
  const aggregateRestrictionError = T2(() => {
    return validateAggregateRestrictions(partialTree);
  }, [partialTree, validateAggregateRestrictions]);
  const nOfSelectedFiles = T2(() => {
    return getNumberOfSelectedFiles_default(partialTree);
  }, [partialTree]);
  if (nOfSelectedFiles === 0) {
    return null;
  }
  return u2("div", { className: "uppy-ProviderBrowser-footer", children: [u2("div", { className: "uppy-ProviderBrowser-footer-buttons", children: [u2("button", { className: (0, import_classnames3.default)("uppy-u-reset uppy-c-btn uppy-c-btn-primary", {
    "uppy-c-btn--disabled": aggregateRestrictionError
  }), disabled: !!aggregateRestrictionError, onClick: donePicking, type: "button", children: i18n("selectX", {
    smart_count: nOfSelectedFiles
  }) }), u2("button", { className: "uppy-u-reset uppy-c-btn uppy-c-btn-link", onClick: cancelSelection, type: "button", children: i18n("cancel") })] }), aggregateRestrictionError && u2("div", { className: "uppy-ProviderBrowser-footer-error", children: aggregateRestrictionError })] });
}

// node_modules/uppy6-core/lib/provider-views/ProviderDialog.js
var import_classnames4 = __toESM(require_classnames(), 1);
function ProviderDialog({ dialog, i18n, onConfirm, onCancel }) {
  const [value, setValue] = d2(dialog.kind === "prompt" ? dialog.defaultValue ?? "" : "");
  const inputRef = A2(null);
  const confirmRef = A2(null);
  const cancelRef = A2(null);
  const titleId = g2();
  const isPrompt = dialog.kind === "prompt";
  const danger = dialog.kind === "confirm" && dialog.danger === true;
  h2(() => {
    ;
    (inputRef.current ?? (danger ? cancelRef : confirmRef).current)?.focus();
    inputRef.current?.select();
  }, [danger]);
  return u2(ModalDialog, { className: "uppy-ProviderDialog", "aria-labelledby": titleId, onDismiss: onCancel, children: u2("form", { className: "uppy-ProviderDialog-form", onSubmit: (event) => {
    event.preventDefault();
    onConfirm(isPrompt ? value : void 0);
  }, children: [u2("h3", { id: titleId, className: "uppy-ProviderDialog-title", children: dialog.title }), dialog.kind === "prompt" ? u2("label", { className: "uppy-ProviderDialog-label", children: [dialog.label && u2("span", { className: "uppy-ProviderDialog-labelText", children: dialog.label }), u2("input", { ref: inputRef, type: "text", className: "uppy-u-reset uppy-c-textInput uppy-ProviderDialog-input", value, onInput: (event) => setValue(event.target.value) })] }) : dialog.message && u2("p", { className: "uppy-ProviderDialog-message", children: dialog.message }), u2("div", { className: "uppy-ProviderDialog-actions", children: [u2("button", { ref: cancelRef, type: "button", className: "uppy-u-reset uppy-c-btn uppy-c-btn-link", onClick: onCancel, children: i18n("cancel") }), u2("button", { ref: confirmRef, type: "submit", className: (0, import_classnames4.default)("uppy-u-reset uppy-c-btn uppy-c-btn-primary", danger && "uppy-ProviderDialog-confirm--danger"), children: dialog.confirmLabel ?? i18n("dialogConfirm") })] })] }) });
}

// node_modules/uppy6-core/lib/provider-views/ProviderDialogController.js
var ProviderDialogController = class {
  #store;
  #settlePending = null;
  #revision = 0;
  /** Remount the input when replacing a prompt in the same render batch. */
  get revision() {
    return this.#revision;
  }
  constructor(store) {
    this.#store = store;
  }
  /** Resolves with the entered string, or `null` when cancelled. */
  prompt(options) {
    return new Promise((resolve) => {
      this.#open({ kind: "prompt", ...options }, (confirmed, value) => resolve(confirmed ? value ?? "" : null));
    });
  }
  /** Resolves with `true` when confirmed, `false` when cancelled. */
  confirm(options) {
    return new Promise((resolve) => {
      this.#open({ kind: "confirm", ...options }, resolve);
    });
  }
  /** Called by the dialog; `value` is the prompt's input. */
  submit = (value) => this.#settle(true, value);
  cancel = () => this.#settle(false);
  #open(dialog, settle) {
    this.cancel();
    this.#revision += 1;
    this.#settlePending = settle;
    this.#store.setPluginState({ dialog });
  }
  #settle(confirmed, value) {
    const settle = this.#settlePending;
    if (!settle)
      return;
    this.#settlePending = null;
    this.#store.setPluginState({ dialog: void 0 });
    settle(confirmed, value);
  }
};

// node_modules/uppy6-core/lib/provider-views/utils/companionFileToUppyFile.js
var companionFileToUppyFile = (file, plugin, provider) => {
  const name = file.name || file.id;
  return {
    id: file.id,
    source: plugin.id,
    name,
    type: file.mimeType,
    isRemote: true,
    data: file,
    preview: file.thumbnail || void 0,
    // @ts-expect-error TODO: fixme
    meta: {
      // name, // todo shouldn't this be here?
      authorName: file.author?.name,
      authorUrl: file.author?.url,
      // We need to do this `|| null` check, because null value
      // for .relDirPath is `undefined` and for .relativePath is `null`.
      // I do think we should just use `null` everywhere.
      relativePath: file.relDirPath || null,
      absolutePath: file.absDirPath
    },
    body: {
      fileId: file.id
    },
    remote: {
      companionUrl: plugin.opts.companionUrl,
      url: `${provider.fileUrl(file.requestPath)}`,
      body: {
        fileId: file.id
      },
      providerName: provider.name,
      provider: provider.provider,
      requestClientId: provider.provider
    }
  };
};
var companionFileToUppyFile_default = companionFileToUppyFile;

// node_modules/uppy6-core/lib/provider-views/utils/addFiles.js
var addFiles = (companionFiles, plugin, provider) => {
  const uppyFiles = companionFiles.map((f5) => companionFileToUppyFile_default(f5, plugin, provider));
  const filesToAdd = [];
  const filesAlreadyAdded = [];
  uppyFiles.forEach((file) => {
    if (plugin.uppy.checkIfFileAlreadyExists(getSafeFileId(file, plugin.uppy.getID()))) {
      filesAlreadyAdded.push(file);
    } else {
      filesToAdd.push(file);
    }
  });
  if (filesToAdd.length > 0) {
    plugin.uppy.info(plugin.uppy.i18n("addedNumFiles", { numFiles: filesToAdd.length }));
  }
  if (filesAlreadyAdded.length > 0) {
    plugin.uppy.info(`Not adding ${filesAlreadyAdded.length} files because they already exist`);
  }
  plugin.uppy.addFiles(filesToAdd);
};
var addFiles_default = addFiles;

// node_modules/uppy6-core/lib/provider-views/utils/getClickedRange.js
var getClickedRange = (clickedId, displayedPartialTree, isShiftKeyPressed, previousCheckbox) => {
  const previousCheckboxIndex = displayedPartialTree.findIndex((item) => item.id === previousCheckbox);
  const newCheckboxIndex = displayedPartialTree.findIndex((item) => item.id === clickedId);
  if (previousCheckboxIndex !== -1 && newCheckboxIndex !== -1 && isShiftKeyPressed) {
    const clickedRange = displayedPartialTree.slice(Math.min(previousCheckboxIndex, newCheckboxIndex), Math.max(previousCheckboxIndex, newCheckboxIndex) + 1);
    return clickedRange.map((item) => item.id);
  }
  return [clickedId];
};
var getClickedRange_default = getClickedRange;

// node_modules/uppy6-core/lib/provider-views/utils/handleError.js
var handleError = (uppy2) => (err) => {
  if (isAuthError(err)) {
    return;
  }
  const error = toError(err);
  if (isAbortError(error)) {
    uppy2.log("Aborting request", "warning");
    return;
  }
  uppy2.log(error, "error");
  if (error.name === "UserFacingApiError") {
    uppy2.info({
      message: uppy2.i18n("companionError"),
      details: describeCompanionError(uppy2.i18n, error)
    }, "warning", 5e3);
  }
};
var handleError_default = handleError;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/getBreadcrumbs.js
var getBreadcrumbs = (partialTree, currentFolderId) => {
  let folder = partialTree.find((f5) => f5.id === currentFolderId);
  let breadcrumbs = [];
  while (true) {
    breadcrumbs = [folder, ...breadcrumbs];
    if (folder.type === "root")
      break;
    const currentParentId = folder.parentId;
    folder = partialTree.find((f5) => f5.id === currentParentId);
  }
  return breadcrumbs;
};
var getBreadcrumbs_default = getBreadcrumbs;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/getCheckedFilesWithPaths.js
var getPath = (partialTree, id, cache) => {
  const sId = id === null ? "null" : id;
  if (cache[sId])
    return cache[sId];
  const file = partialTree.find((f5) => f5.id === id);
  if (file.type === "root")
    return [];
  const meAndParentPath = [...getPath(partialTree, file.parentId, cache), file];
  cache[sId] = meAndParentPath;
  return meAndParentPath;
};
var getCheckedFilesWithPaths = (partialTree) => {
  const cache = /* @__PURE__ */ Object.create(null);
  const checkedFiles = partialTree.filter((item) => item.type === "file" && item.status === "checked");
  const companionFilesWithInjectedPaths = checkedFiles.map((file) => {
    const absFolders = getPath(partialTree, file.id, cache);
    const firstCheckedFolderIndex = absFolders.findIndex((i4) => i4.type === "folder" && i4.status === "checked");
    const relFolders = absFolders.slice(firstCheckedFolderIndex);
    const absDirPath = `/${absFolders.map((i4) => i4.data.name).join("/")}`;
    const relDirPath = relFolders.length === 1 ? (
      // Must return `undefined` (which later turns into `null` in `.companionFileToUppyFile()`)
      // (https://github.com/transloadit/uppy/pull/4537#issuecomment-1629136652)
      void 0
    ) : relFolders.map((i4) => i4.data.name).join("/");
    return {
      ...file.data,
      absDirPath,
      relDirPath
    };
  });
  return companionFilesWithInjectedPaths;
};
var getCheckedFilesWithPaths_default = getCheckedFilesWithPaths;

// node_modules/eventemitter3/index.mjs
var import_index = __toESM(require_eventemitter3(), 1);

// node_modules/uppy6-core/node_modules/p-timeout/index.js
var TimeoutError = class _TimeoutError extends Error {
  name = "TimeoutError";
  constructor(message, options) {
    super(message, options);
    Error.captureStackTrace?.(this, _TimeoutError);
  }
};
var getAbortedReason = (signal) => signal.reason ?? new DOMException("This operation was aborted.", "AbortError");
function pTimeout(promise, options) {
  const {
    milliseconds: milliseconds2,
    fallback,
    message,
    customTimers = { setTimeout, clearTimeout },
    signal
  } = options;
  let timer;
  let abortHandler;
  const wrappedPromise = new Promise((resolve, reject) => {
    if (typeof milliseconds2 !== "number" || Math.sign(milliseconds2) !== 1) {
      throw new TypeError(`Expected \`milliseconds\` to be a positive number, got \`${milliseconds2}\``);
    }
    if (signal?.aborted) {
      reject(getAbortedReason(signal));
      promise.then(resolve, reject);
      return;
    }
    if (signal) {
      abortHandler = () => {
        reject(getAbortedReason(signal));
      };
      signal.addEventListener("abort", abortHandler, { once: true });
    }
    promise.then(resolve, reject);
    if (milliseconds2 === Number.POSITIVE_INFINITY) {
      return;
    }
    const timeoutError = new TimeoutError();
    timer = customTimers.setTimeout.call(void 0, () => {
      if (fallback) {
        try {
          resolve(fallback());
        } catch (error) {
          reject(error);
        }
        return;
      }
      if (typeof promise.cancel === "function") {
        promise.cancel();
      }
      if (message === false) {
        resolve();
      } else if (message instanceof Error) {
        reject(message);
      } else {
        timeoutError.message = message ?? `Promise timed out after ${milliseconds2} milliseconds`;
        reject(timeoutError);
      }
    }, milliseconds2);
  });
  const cancelablePromise = wrappedPromise.finally(() => {
    cancelablePromise.clear();
    if (abortHandler && signal) {
      signal.removeEventListener("abort", abortHandler);
    }
  });
  cancelablePromise.clear = () => {
    customTimers.clearTimeout.call(void 0, timer);
    timer = void 0;
  };
  return cancelablePromise;
}

// node_modules/uppy6-core/node_modules/p-queue/dist/lower-bound.js
function lowerBound(array, value, comparator) {
  let first = 0;
  let count = array.length;
  while (count > 0) {
    const step = Math.trunc(count / 2);
    let it = first + step;
    if (comparator(array[it], value) <= 0) {
      first = ++it;
      count -= step + 1;
    } else {
      count = step;
    }
  }
  return first;
}

// node_modules/uppy6-core/node_modules/p-queue/dist/priority-queue.js
var compactionThreshold = 100;
var PriorityQueue = class {
  #queue = [];
  // The queue is stored as a sorted array, but dequeued items are left before `#head` until compaction. Only items from `#head` onward are live, which keeps repeated dequeues amortized O(1).
  #head = 0;
  enqueue(run, options) {
    const { priority = 0, id } = options ?? {};
    const { size } = this;
    const element = {
      priority,
      id,
      run
    };
    if (size === 0) {
      this.#queue.length = 0;
      this.#head = 0;
      this.#queue.push(element);
      return;
    }
    if (this.#queue.at(-1).priority >= priority) {
      this.#queue.push(element);
      return;
    }
    this.#compact();
    const index = lowerBound(this.#queue, element, (a4, b3) => b3.priority - a4.priority);
    this.#queue.splice(index, 0, element);
  }
  setPriority(id, priority) {
    const index = this.#queue.findIndex((element, index2) => index2 >= this.#head && element.id === id);
    if (index === -1) {
      throw new ReferenceError(`No promise function with the id "${id}" exists in the queue.`);
    }
    const [item] = this.#queue.splice(index, 1);
    this.enqueue(item.run, { priority, id });
  }
  remove(idOrRun) {
    const index = this.#queue.findIndex((element, index2) => {
      if (index2 < this.#head) {
        return false;
      }
      if (typeof idOrRun === "string") {
        return element.id === idOrRun;
      }
      return element.run === idOrRun;
    });
    if (index !== -1) {
      this.#queue.splice(index, 1);
    }
  }
  dequeue() {
    if (this.#head === this.#queue.length) {
      return void 0;
    }
    const item = this.#queue[this.#head];
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head > compactionThreshold && this.#head > this.#queue.length / 2) {
      this.#compact();
    }
    return item?.run;
  }
  filter(options) {
    const result = [];
    for (let index = this.#head; index < this.#queue.length; index++) {
      const element = this.#queue[index];
      if (element.priority === options.priority) {
        result.push(element.run);
      }
    }
    return result;
  }
  get size() {
    return this.#queue.length - this.#head;
  }
  #compact() {
    if (this.#head === 0) {
      return;
    }
    this.#queue.splice(0, this.#head);
    this.#head = 0;
  }
};

// node_modules/uppy6-core/node_modules/p-queue/dist/index.js
var PQueue = class extends import_index.default {
  #carryoverIntervalCount;
  #isIntervalIgnored;
  #intervalCount = 0;
  #intervalCap;
  #rateLimitedInInterval = false;
  #rateLimitFlushScheduled = false;
  #interval;
  /*
  Timestamp when the current interval window ends. Kept accurate at every window transition: `#initializeIntervalIfNeeded` sets it when a window starts and `#onInterval` advances it as the recurring timer rolls into each new window. This is the source of truth for whether a task added after the queue goes idle belongs to a fresh window, so it must not go stale.
  */
  #intervalEnd = 0;
  // Recurring timer that drives windows while the queue is actively processing. Absent (`undefined`) once the queue goes idle.
  #intervalId;
  // One-shot timer used while idle to resume at the next window boundary, since `#intervalId` is cleared when idle.
  #timeoutId;
  #strict;
  // Circular buffer implementation for better performance
  #strictTicks = [];
  #strictTicksStartIndex = 0;
  #queue;
  #queueClass;
  #pending = 0;
  // The `!` is needed because of https://github.com/microsoft/TypeScript/issues/32194
  #concurrency;
  #isPaused;
  // Use to assign a unique identifier to a promise function, if not explicitly specified
  #idAssigner = 1n;
  // Track currently running tasks for debugging
  #runningTasks = /* @__PURE__ */ new Map();
  #queueAbortListenerCleanupFunctions = /* @__PURE__ */ new Set();
  /**
      Get or set the default timeout for all tasks. Can be changed at runtime.
  
      Operations will throw a `TimeoutError` if they don't complete within the specified time.
  
      The timeout begins when the operation is dequeued and starts execution, not while it's waiting in the queue.
  
      @example
      ```
      const queue = new PQueue({timeout: 5000});
  
      // Change timeout for all future tasks
      queue.timeout = 10000;
      ```
      */
  timeout;
  constructor(options) {
    super();
    options = {
      carryoverIntervalCount: false,
      intervalCap: Number.POSITIVE_INFINITY,
      interval: 0,
      concurrency: Number.POSITIVE_INFINITY,
      autoStart: true,
      queueClass: PriorityQueue,
      strict: false,
      ...options
    };
    if (!(typeof options.intervalCap === "number" && options.intervalCap >= 1)) {
      throw new TypeError(`Expected \`intervalCap\` to be a number from 1 and up, got \`${options.intervalCap?.toString() ?? ""}\` (${typeof options.intervalCap})`);
    }
    if (options.interval === void 0 || !(Number.isFinite(options.interval) && options.interval >= 0)) {
      throw new TypeError(`Expected \`interval\` to be a finite number >= 0, got \`${options.interval?.toString() ?? ""}\` (${typeof options.interval})`);
    }
    if (options.strict && options.interval === 0) {
      throw new TypeError("The `strict` option requires a non-zero `interval`");
    }
    if (options.strict && options.intervalCap === Number.POSITIVE_INFINITY) {
      throw new TypeError("The `strict` option requires a finite `intervalCap`");
    }
    this.#carryoverIntervalCount = options.carryoverIntervalCount ?? options.carryoverConcurrencyCount ?? false;
    this.#isIntervalIgnored = options.intervalCap === Number.POSITIVE_INFINITY || options.interval === 0;
    this.#intervalCap = options.intervalCap;
    this.#interval = options.interval;
    this.#strict = options.strict;
    this.#queue = new options.queueClass();
    this.#queueClass = options.queueClass;
    this.concurrency = options.concurrency;
    if (options.timeout !== void 0 && !(Number.isFinite(options.timeout) && options.timeout > 0)) {
      throw new TypeError(`Expected \`timeout\` to be a positive finite number, got \`${options.timeout}\` (${typeof options.timeout})`);
    }
    this.timeout = options.timeout;
    this.#isPaused = options.autoStart === false;
    this.#setupRateLimitTracking();
  }
  #cleanupStrictTicks(now) {
    while (this.#strictTicksStartIndex < this.#strictTicks.length) {
      const oldestTick = this.#strictTicks[this.#strictTicksStartIndex];
      if (oldestTick !== void 0 && now - oldestTick >= this.#interval) {
        this.#strictTicksStartIndex++;
      } else {
        break;
      }
    }
    const shouldCompact = this.#strictTicksStartIndex > 100 && this.#strictTicksStartIndex > this.#strictTicks.length / 2 || this.#strictTicksStartIndex === this.#strictTicks.length;
    if (shouldCompact) {
      this.#strictTicks = this.#strictTicks.slice(this.#strictTicksStartIndex);
      this.#strictTicksStartIndex = 0;
    }
  }
  // Helper methods for interval consumption
  #consumeIntervalSlot(now) {
    if (this.#strict) {
      this.#strictTicks.push(now);
    } else {
      this.#intervalCount++;
    }
  }
  #rollbackIntervalSlot() {
    if (this.#strict) {
      if (this.#strictTicks.length > this.#strictTicksStartIndex) {
        this.#strictTicks.pop();
      }
    } else if (this.#intervalCount > 0) {
      this.#intervalCount--;
    }
  }
  #getActiveTicksCount() {
    return this.#strictTicks.length - this.#strictTicksStartIndex;
  }
  get #doesIntervalAllowAnother() {
    if (this.#isIntervalIgnored) {
      return true;
    }
    if (this.#strict) {
      return this.#getActiveTicksCount() < this.#intervalCap;
    }
    return this.#intervalCount < this.#intervalCap;
  }
  get #doesConcurrentAllowAnother() {
    return this.#pending < this.#concurrency;
  }
  #next() {
    this.#pending--;
    if (this.#pending === 0) {
      this.emit("pendingZero");
    }
    this.#tryToStartAnother();
    this.emit("next");
  }
  #onResumeInterval() {
    this.#timeoutId = void 0;
    this.#onInterval();
    this.#initializeIntervalIfNeeded();
  }
  #isIntervalPausedAt(now) {
    if (this.#strict) {
      this.#cleanupStrictTicks(now);
      const activeTicksCount = this.#getActiveTicksCount();
      if (activeTicksCount >= this.#intervalCap) {
        const oldestTick = this.#strictTicks[this.#strictTicksStartIndex];
        const delay = this.#interval - (now - oldestTick);
        this.#createIntervalTimeout(delay);
        return true;
      }
      return false;
    }
    if (this.#intervalId === void 0) {
      const delay = this.#intervalEnd - now;
      if (delay < 0) {
        this.#intervalCount = this.#carryoverIntervalCount ? this.#pending : 0;
      } else {
        this.#createIntervalTimeout(delay);
        return true;
      }
    }
    return false;
  }
  #createIntervalTimeout(delay) {
    if (this.#timeoutId !== void 0) {
      return;
    }
    this.#timeoutId = setTimeout(() => {
      this.#onResumeInterval();
    }, delay);
  }
  #clearIntervalTimer() {
    if (this.#intervalId) {
      clearInterval(this.#intervalId);
      this.#intervalId = void 0;
    }
  }
  #clearTimeoutTimer() {
    if (this.#timeoutId) {
      clearTimeout(this.#timeoutId);
      this.#timeoutId = void 0;
    }
  }
  #tryToStartAnother() {
    if (this.#queue.size === 0) {
      this.#clearIntervalTimer();
      this.emit("empty");
      if (this.#pending === 0) {
        this.#clearTimeoutTimer();
        if (this.#strict && this.#strictTicksStartIndex > 0) {
          const now = Date.now();
          this.#cleanupStrictTicks(now);
        }
        this.emit("idle");
      }
      return false;
    }
    let taskStarted = false;
    if (!this.#isPaused) {
      const now = Date.now();
      const canInitializeInterval = !this.#isIntervalPausedAt(now);
      if (this.#doesIntervalAllowAnother && this.#doesConcurrentAllowAnother) {
        const job = this.#queue.dequeue();
        if (!this.#isIntervalIgnored) {
          this.#consumeIntervalSlot(now);
          this.#scheduleRateLimitUpdate();
        }
        if (canInitializeInterval) {
          this.#initializeIntervalIfNeeded();
        }
        job();
        this.emit("active");
        taskStarted = true;
      }
    }
    return taskStarted;
  }
  #initializeIntervalIfNeeded() {
    if (this.#isIntervalIgnored || this.#intervalId !== void 0) {
      return;
    }
    if (this.#strict) {
      return;
    }
    this.#intervalId = setInterval(() => {
      this.#onInterval();
    }, this.#interval);
    this.#intervalEnd = Date.now() + this.#interval;
  }
  #onInterval() {
    if (!this.#strict) {
      if (this.#intervalId !== void 0) {
        if (this.#intervalCount === 0 && this.#pending === 0) {
          this.#clearIntervalTimer();
        } else {
          this.#intervalEnd = Date.now() + this.#interval;
        }
      }
      this.#intervalCount = this.#carryoverIntervalCount ? this.#pending : 0;
    }
    this.#processQueue();
    this.#scheduleRateLimitUpdate();
  }
  /**
  Executes all queued functions until it reaches the limit.
  */
  #processQueue() {
    while (this.#tryToStartAnother()) {
    }
  }
  get concurrency() {
    return this.#concurrency;
  }
  set concurrency(newConcurrency) {
    if (!(typeof newConcurrency === "number" && newConcurrency >= 1)) {
      throw new TypeError(`Expected \`concurrency\` to be a number from 1 and up, got \`${newConcurrency}\` (${typeof newConcurrency})`);
    }
    this.#concurrency = newConcurrency;
    this.#processQueue();
  }
  /**
      Updates the priority of a promise function by its id, affecting its execution order. Requires a defined concurrency limit to take effect.
  
      For example, this can be used to prioritize a promise function to run earlier.
  
      ```js
      import PQueue from 'p-queue';
  
      const queue = new PQueue({concurrency: 1});
  
      queue.add(async () => '🦄', {priority: 1});
      queue.add(async () => '🦀', {priority: 0, id: '🦀'});
      queue.add(async () => '🦄', {priority: 1});
      queue.add(async () => '🦄', {priority: 1});
  
      queue.setPriority('🦀', 2);
      ```
  
      In this case, the promise function with `id: '🦀'` runs second.
  
      You can also deprioritize a promise function to delay its execution:
  
      ```js
      import PQueue from 'p-queue';
  
      const queue = new PQueue({concurrency: 1});
  
      queue.add(async () => '🦄', {priority: 1});
      queue.add(async () => '🦀', {priority: 1, id: '🦀'});
      queue.add(async () => '🦄');
      queue.add(async () => '🦄', {priority: 0});
  
      queue.setPriority('🦀', -1);
      ```
      Here, the promise function with `id: '🦀'` executes last.
      */
  setPriority(id, priority) {
    if (typeof priority !== "number" || !Number.isFinite(priority)) {
      throw new TypeError(`Expected \`priority\` to be a finite number, got \`${priority}\` (${typeof priority})`);
    }
    this.#queue.setPriority(id, priority);
  }
  async add(function_, options = {}) {
    options = {
      timeout: this.timeout,
      ...options,
      // Assign unique ID if not provided
      id: options.id ?? (this.#idAssigner++).toString()
    };
    if (options.timeout !== void 0 && !(Number.isFinite(options.timeout) && options.timeout > 0)) {
      throw new TypeError(`Expected \`timeout\` to be a positive finite number, got \`${options.timeout}\` (${typeof options.timeout})`);
    }
    return new Promise((resolve, reject) => {
      const taskSymbol = /* @__PURE__ */ Symbol(`task-${options.id}`);
      let cleanupQueueAbortHandler = () => void 0;
      const run = async () => {
        cleanupQueueAbortHandler();
        this.#pending++;
        this.#runningTasks.set(taskSymbol, {
          id: options.id,
          priority: options.priority ?? 0,
          // Match priority-queue default
          startTime: Date.now(),
          timeout: options.timeout
        });
        let eventListener;
        try {
          try {
            options.signal?.throwIfAborted();
          } catch (error) {
            this.#rollbackIntervalConsumption();
            this.#runningTasks.delete(taskSymbol);
            throw error;
          }
          let operation = function_({ signal: options.signal });
          if (options.timeout !== void 0) {
            operation = pTimeout(Promise.resolve(operation), {
              milliseconds: options.timeout,
              message: `Task timed out after ${options.timeout}ms (queue has ${this.#pending} running, ${this.#queue.size} waiting)`
            });
          }
          if (options.signal) {
            const { signal } = options;
            operation = Promise.race([operation, new Promise((_resolve, reject2) => {
              eventListener = () => {
                reject2(signal.reason);
              };
              signal.addEventListener("abort", eventListener, { once: true });
              if (signal.aborted) {
                eventListener();
              }
            })]);
          }
          const result = await operation;
          resolve(result);
          this.emit("completed", result);
        } catch (error) {
          reject(error);
          this.emit("error", error);
        } finally {
          if (eventListener) {
            options.signal?.removeEventListener("abort", eventListener);
          }
          this.#runningTasks.delete(taskSymbol);
          queueMicrotask(() => {
            this.#next();
          });
        }
      };
      this.#queue.enqueue(run, options);
      const removeQueuedTask = () => {
        if (this.#queue instanceof PriorityQueue) {
          this.#queue.remove(run);
          return;
        }
        this.#queue.remove?.(options.id);
      };
      if (options.signal) {
        const { signal } = options;
        const queueAbortHandler = () => {
          cleanupQueueAbortHandler();
          removeQueuedTask();
          reject(signal.reason);
          this.#tryToStartAnother();
          this.emit("next");
        };
        cleanupQueueAbortHandler = () => {
          signal.removeEventListener("abort", queueAbortHandler);
          this.#queueAbortListenerCleanupFunctions.delete(cleanupQueueAbortHandler);
        };
        if (signal.aborted) {
          queueAbortHandler();
          return;
        }
        signal.addEventListener("abort", queueAbortHandler, { once: true });
        this.#queueAbortListenerCleanupFunctions.add(cleanupQueueAbortHandler);
      }
      this.emit("add");
      this.#tryToStartAnother();
    });
  }
  async addAll(functions, options) {
    return Promise.all(functions.map(async (function_) => this.add(function_, options)));
  }
  /**
  Start (or resume) executing enqueued tasks within concurrency limit. No need to call this if queue is not paused (via `options.autoStart = false` or by `.pause()` method.)
  */
  start() {
    if (!this.#isPaused) {
      return this;
    }
    this.#isPaused = false;
    this.#processQueue();
    return this;
  }
  /**
  Put queue execution on hold.
  */
  pause() {
    this.#isPaused = true;
  }
  /**
  Clear the queue.
  */
  clear() {
    for (const cleanupQueueAbortHandler of this.#queueAbortListenerCleanupFunctions) {
      cleanupQueueAbortHandler();
    }
    this.#queue = new this.#queueClass();
    this.#clearIntervalTimer();
    this.#updateRateLimitState();
    this.emit("empty");
    if (this.#pending === 0) {
      this.#clearTimeoutTimer();
      this.emit("idle");
    }
    this.emit("next");
  }
  /**
      Can be called multiple times. Useful if you for example add additional items at a later time.
  
      @returns A promise that settles when the queue becomes empty.
      */
  async onEmpty() {
    if (this.#queue.size === 0) {
      return;
    }
    await this.#onEvent("empty");
  }
  /**
      @returns A promise that settles when the queue size is less than the given limit: `queue.size < limit`.
  
      If you want to avoid having the queue grow beyond a certain size you can `await queue.onSizeLessThan()` before adding a new item.
  
      Note that this only limits the number of items waiting to start. There could still be up to `concurrency` jobs already running that this call does not include in its calculation.
      */
  async onSizeLessThan(limit) {
    if (this.#queue.size < limit) {
      return;
    }
    await this.#onEvent(["next", "active"], () => this.#queue.size < limit);
  }
  /**
      The difference with `.onEmpty` is that `.onIdle` guarantees that all work from the queue has finished. `.onEmpty` merely signals that the queue is empty, but it could mean that some promises haven't completed yet.
  
      @returns A promise that settles when the queue becomes empty, and all promises have completed; `queue.size === 0 && queue.pending === 0`.
      */
  async onIdle() {
    if (this.#pending === 0 && this.#queue.size === 0) {
      return;
    }
    await this.#onEvent("idle");
  }
  /**
      The difference with `.onIdle` is that `.onPendingZero` only waits for currently running tasks to finish, ignoring queued tasks.
  
      @returns A promise that settles when all currently running tasks have completed; `queue.pending === 0`.
      */
  async onPendingZero() {
    if (this.#pending === 0) {
      return;
    }
    await this.#onEvent("pendingZero");
  }
  /**
  @returns A promise that settles when the queue becomes rate-limited due to intervalCap.
  */
  async onRateLimit() {
    if (this.isRateLimited) {
      return;
    }
    await this.#onEvent("rateLimit");
  }
  /**
  @returns A promise that settles when the queue is no longer rate-limited.
  */
  async onRateLimitCleared() {
    if (!this.isRateLimited) {
      return;
    }
    await this.#onEvent("rateLimitCleared");
  }
  /**
      @returns A promise that rejects when any task in the queue errors.
  
      Use with `Promise.race([queue.onError(), queue.onIdle()])` to fail fast on the first error while still resolving normally when the queue goes idle.
  
      Important: The promise returned by `add()` still rejects. You must handle each `add()` promise (for example, `.catch(() => {})`) to avoid unhandled rejections.
  
      @example
      ```
      import PQueue from 'p-queue';
  
      const queue = new PQueue({concurrency: 2});
  
      queue.add(() => fetchData(1)).catch(() => {});
      queue.add(() => fetchData(2)).catch(() => {});
      queue.add(() => fetchData(3)).catch(() => {});
  
      // Stop processing on first error
      try {
          await Promise.race([
              queue.onError(),
              queue.onIdle()
          ]);
      } catch (error) {
          queue.pause(); // Stop processing remaining tasks
          console.error('Queue failed:', error);
      }
      ```
      */
  // eslint-disable-next-line @typescript-eslint/promise-function-async
  onError() {
    return new Promise((_resolve, reject) => {
      const handleError2 = (error) => {
        this.off("error", handleError2);
        reject(error);
      };
      this.on("error", handleError2);
    });
  }
  async #onEvent(events, filter) {
    const eventList = Array.isArray(events) ? events : [events];
    return new Promise((resolve) => {
      const listener = () => {
        if (filter && !filter()) {
          return;
        }
        for (const event of eventList) {
          this.off(event, listener);
        }
        resolve();
      };
      for (const event of eventList) {
        this.on(event, listener);
      }
    });
  }
  /**
  Size of the queue, the number of queued items waiting to run.
  */
  get size() {
    return this.#queue.size;
  }
  /**
      Size of the queue, filtered by the given options.
  
      For example, this can be used to find the number of items remaining in the queue with a specific priority level.
      */
  sizeBy(options) {
    return this.#queue.filter(options).length;
  }
  /**
  Number of running items (no longer in the queue).
  */
  get pending() {
    return this.#pending;
  }
  /**
  Whether the queue is currently paused.
  */
  get isPaused() {
    return this.#isPaused;
  }
  #setupRateLimitTracking() {
    if (this.#isIntervalIgnored) {
      return;
    }
    this.on("add", () => {
      if (this.#queue.size > 0) {
        this.#scheduleRateLimitUpdate();
      }
    });
    this.on("next", () => {
      this.#scheduleRateLimitUpdate();
    });
  }
  #scheduleRateLimitUpdate() {
    if (this.#isIntervalIgnored || this.#rateLimitFlushScheduled) {
      return;
    }
    this.#rateLimitFlushScheduled = true;
    queueMicrotask(() => {
      this.#rateLimitFlushScheduled = false;
      this.#updateRateLimitState();
    });
  }
  #rollbackIntervalConsumption() {
    if (this.#isIntervalIgnored) {
      return;
    }
    this.#rollbackIntervalSlot();
    this.#scheduleRateLimitUpdate();
  }
  #updateRateLimitState() {
    const previous = this.#rateLimitedInInterval;
    if (this.#isIntervalIgnored || this.#queue.size === 0) {
      if (previous) {
        this.#rateLimitedInInterval = false;
        this.emit("rateLimitCleared");
      }
      return;
    }
    let count;
    if (this.#strict) {
      const now = Date.now();
      this.#cleanupStrictTicks(now);
      count = this.#getActiveTicksCount();
    } else {
      count = this.#intervalCount;
    }
    const shouldBeRateLimited = count >= this.#intervalCap;
    if (shouldBeRateLimited !== previous) {
      this.#rateLimitedInInterval = shouldBeRateLimited;
      this.emit(shouldBeRateLimited ? "rateLimit" : "rateLimitCleared");
    }
  }
  /**
  Whether the queue is currently rate-limited due to intervalCap.
  */
  get isRateLimited() {
    return this.#rateLimitedInInterval;
  }
  /**
      Whether the queue is saturated. Returns `true` when:
      - All concurrency slots are occupied and tasks are waiting, OR
      - The queue is rate-limited and tasks are waiting
  
      Useful for detecting backpressure and potential hanging tasks.
  
      ```js
      import PQueue from 'p-queue';
  
      const queue = new PQueue({concurrency: 2});
  
      // Backpressure handling
      if (queue.isSaturated) {
          console.log('Queue is saturated, waiting for capacity...');
          await queue.onSizeLessThan(queue.concurrency);
      }
  
      // Monitoring for stuck tasks
      setInterval(() => {
          if (queue.isSaturated) {
              console.warn(`Queue saturated: ${queue.pending} running, ${queue.size} waiting`);
          }
      }, 60000);
      ```
      */
  get isSaturated() {
    return this.#pending === this.#concurrency && this.#queue.size > 0 || this.isRateLimited && this.#queue.size > 0;
  }
  /**
      The tasks currently being executed. Each task includes its `id`, `priority`, `startTime`, `timeout` (if set), and `timeoutRemaining` (milliseconds until the task times out, or `undefined` if no timeout is set).
  
      Returns an array of task info objects.
  
      ```js
      import PQueue from 'p-queue';
  
      const queue = new PQueue({concurrency: 2, timeout: 10000});
  
      // Add tasks with IDs for better debugging
      queue.add(() => fetchUser(123), {id: 'user-123'});
      queue.add(() => fetchPosts(456), {id: 'posts-456', priority: 1});
  
      // Check what's running
      console.log(queue.runningTasks);
      // => [{
      //   id: 'user-123',
      //   priority: 0,
      //   startTime: 1759253001716,
      //   timeout: 10000,
      //   timeoutRemaining: 9700
      // }, {
      //   id: 'posts-456',
      //   priority: 1,
      //   startTime: 1759253001916,
      //   timeout: 10000,
      //   timeoutRemaining: 9900
      // }]
      ```
      */
  get runningTasks() {
    return [...this.#runningTasks.values()].map((task) => ({
      ...task,
      timeoutRemaining: task.timeout ? Math.max(0, task.startTime + task.timeout - Date.now()) : void 0
    }));
  }
};

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/shallowClone.js
var shallowClone = (partialTree) => {
  return partialTree.map((item) => ({ ...item }));
};
var shallowClone_default = shallowClone;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/afterFill.js
var recursivelyFetch = async (queue, poorTree, poorFolder, apiList, validateSingleFile) => {
  let items = [];
  let currentPath = poorFolder.cached ? poorFolder.nextPagePath : poorFolder.id;
  while (currentPath) {
    const response = await apiList(currentPath);
    items = items.concat(response.items);
    currentPath = response.nextPagePath;
  }
  const newFolders = items.filter((i4) => i4.isFolder === true);
  const newFiles = items.filter((i4) => i4.isFolder === false);
  const folders = newFolders.map((folder) => ({
    type: "folder",
    id: folder.requestPath,
    cached: false,
    nextPagePath: null,
    status: "checked",
    parentId: poorFolder.id,
    data: folder
  }));
  const files = newFiles.map((file) => {
    const restrictionError = validateSingleFile(file);
    return {
      type: "file",
      id: file.requestPath,
      restrictionError,
      status: restrictionError ? "unchecked" : "checked",
      parentId: poorFolder.id,
      data: file
    };
  });
  poorFolder.cached = true;
  poorFolder.nextPagePath = null;
  poorTree.push(...files, ...folders);
  folders.forEach((folder) => {
    queue.add(() => recursivelyFetch(queue, poorTree, folder, apiList, validateSingleFile));
  });
};
var afterFill = async (partialTree, apiList, validateSingleFile, reportProgress) => {
  const queue = new PQueue({ concurrency: 6 });
  const poorTree = shallowClone_default(partialTree);
  const poorFolders = poorTree.filter((item) => item.type === "folder" && item.status === "checked" && // either "not yet cached at all" or "some pages are left to fetch"
  (item.cached === false || item.nextPagePath));
  poorFolders.forEach((poorFolder) => {
    queue.add(() => recursivelyFetch(queue, poorTree, poorFolder, apiList, validateSingleFile));
  });
  queue.on("completed", () => {
    const nOfFilesChecked = poorTree.filter((i4) => i4.type === "file" && i4.status === "checked").length;
    reportProgress(nOfFilesChecked);
  });
  await queue.onIdle();
  return poorTree;
};
var afterFill_default = afterFill;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/afterOpenFolder.js
var afterOpenFolder = (oldPartialTree, discoveredItems, clickedFolder, currentPagePath, validateSingleFile) => {
  const discoveredUniqueItems = discoveredItems.filter((i4) => !oldPartialTree.find((f5) => f5.id === i4.requestPath));
  const discoveredFolders = discoveredUniqueItems.filter((i4) => i4.isFolder === true);
  const discoveredFiles = discoveredUniqueItems.filter((i4) => i4.isFolder === false);
  const isParentFolderChecked = clickedFolder.type === "folder" && clickedFolder.status === "checked";
  const folders = discoveredFolders.map((folder) => ({
    type: "folder",
    id: folder.requestPath,
    cached: false,
    nextPagePath: null,
    status: isParentFolderChecked ? "checked" : "unchecked",
    parentId: clickedFolder.id,
    data: folder
  }));
  const files = discoveredFiles.map((file) => {
    const restrictionError = validateSingleFile(file);
    return {
      type: "file",
      id: file.requestPath,
      restrictionError,
      status: isParentFolderChecked && !restrictionError ? "checked" : "unchecked",
      parentId: clickedFolder.id,
      data: file
    };
  });
  const updatedClickedFolder = {
    ...clickedFolder,
    cached: true,
    nextPagePath: currentPagePath
  };
  const partialTreeWithUpdatedClickedFolder = oldPartialTree.map((folder) => folder.id === updatedClickedFolder.id ? updatedClickedFolder : folder);
  const newPartialTree = [
    ...partialTreeWithUpdatedClickedFolder,
    ...folders,
    ...files
  ];
  return newPartialTree;
};
var afterOpenFolder_default = afterOpenFolder;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/afterScrollFolder.js
var afterScrollFolder = (oldPartialTree, currentFolderId, items, nextPagePath, validateSingleFile) => {
  const currentFolder = oldPartialTree.find((i4) => i4.id === currentFolderId);
  const newFolders = items.filter((i4) => i4.isFolder === true);
  const newFiles = items.filter((i4) => i4.isFolder === false);
  const scrolledFolder = { ...currentFolder, nextPagePath };
  const partialTreeWithUpdatedScrolledFolder = oldPartialTree.map((folder) => folder.id === scrolledFolder.id ? scrolledFolder : folder);
  const isParentFolderChecked = scrolledFolder.type === "folder" && scrolledFolder.status === "checked";
  const folders = newFolders.map((folder) => ({
    type: "folder",
    id: folder.requestPath,
    cached: false,
    nextPagePath: null,
    status: isParentFolderChecked ? "checked" : "unchecked",
    parentId: scrolledFolder.id,
    data: folder
  }));
  const files = newFiles.map((file) => {
    const restrictionError = validateSingleFile(file);
    return {
      type: "file",
      id: file.requestPath,
      restrictionError,
      status: isParentFolderChecked && !restrictionError ? "checked" : "unchecked",
      parentId: scrolledFolder.id,
      data: file
    };
  });
  const newPartialTree = [
    ...partialTreeWithUpdatedScrolledFolder,
    ...folders,
    ...files
  ];
  return newPartialTree;
};
var afterScrollFolder_default = afterScrollFolder;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/afterToggleCheckbox.js
var percolateDown = (tree, id, shouldMarkAsChecked) => {
  const children = tree.filter((item) => item.type !== "root" && item.parentId === id);
  children.forEach((item) => {
    item.status = shouldMarkAsChecked && !(item.type === "file" && item.restrictionError) ? "checked" : "unchecked";
    percolateDown(tree, item.id, shouldMarkAsChecked);
  });
};
var percolateUp = (tree, id, loadedPagesOnly) => {
  const folder = tree.find((item) => item.id === id);
  if (folder.type === "root")
    return;
  const validChildren = tree.filter((item) => (
    // is a child
    item.type !== "root" && item.parentId === folder.id && // does pass validations
    !(item.type === "file" && item.restrictionError)
  ));
  const areAllChildrenChecked = validChildren.every((item) => item.status === "checked");
  const areAllChildrenUnchecked = validChildren.every((item) => item.status === "unchecked");
  if (areAllChildrenChecked && folder.cached && !(loadedPagesOnly && folder.nextPagePath)) {
    folder.status = "checked";
  } else if (areAllChildrenUnchecked) {
    folder.status = "unchecked";
  } else {
    folder.status = "partial";
  }
  percolateUp(tree, folder.parentId, loadedPagesOnly);
};
var afterToggleCheckbox = (oldTree, checkedIds, loadedPagesOnly = false) => {
  const tree = shallowClone_default(oldTree);
  const newlyCheckedItems = tree.filter((item) => item.type !== "root" && checkedIds.includes(item.id));
  newlyCheckedItems.forEach((item) => {
    const newStatus = item.status === "checked" ? "unchecked" : "checked";
    if (item.type === "file") {
      item.status = item.restrictionError ? "unchecked" : newStatus;
    } else {
      item.status = newStatus;
    }
    percolateDown(tree, item.id, item.status === "checked");
  });
  for (const parentId of new Set(newlyCheckedItems.map((i4) => i4.parentId))) {
    percolateUp(tree, parentId, loadedPagesOnly);
  }
  return tree;
};
var afterToggleCheckbox_default = afterToggleCheckbox;

// node_modules/uppy6-core/lib/provider-views/utils/PartialTreeUtils/index.js
var PartialTreeUtils_default = {
  afterOpenFolder: afterOpenFolder_default,
  afterScrollFolder: afterScrollFolder_default,
  afterToggleCheckbox: afterToggleCheckbox_default,
  afterFill: afterFill_default
};

// node_modules/uppy6-core/lib/provider-views/utils/shouldHandleScroll.js
var shouldHandleScroll = (event) => {
  const { scrollHeight, scrollTop, offsetHeight } = event.target;
  const scrollPosition = scrollHeight - (scrollTop + offsetHeight);
  return scrollPosition < 50;
};
var shouldHandleScroll_default = shouldHandleScroll;

// node_modules/uppy6-core/lib/provider-views/Item/components/SearchResultItem.js
var import_classnames5 = __toESM(require_classnames(), 1);
var SearchResultItem = ({ i18n, item, toggleCheckbox, openFolder }) => {
  const isDisabled = "restrictionError" in item && item.restrictionError != null && item.status !== "checked";
  return u2("li", { className: (0, import_classnames5.default)("uppy-ProviderBrowserItem", { "uppy-ProviderBrowserItem--disabled": isDisabled }, { "uppy-ProviderBrowserItem--noPreview": item.data.icon === "video" }, { "uppy-ProviderBrowserItem--is-checked": item.status === "checked" }, { "uppy-ProviderBrowserItem--is-partial": item.status === "partial" }), title: ("restrictionError" in item ? item.restrictionError : void 0) ?? void 0, children: [u2("input", { type: "checkbox", className: "uppy-u-reset uppy-ProviderBrowserItem-checkbox", onChange: () => toggleCheckbox(item, false), checked: item.status === "checked", "aria-label": item.data.name ?? i18n("unnamed"), disabled: isDisabled, "data-uppy-super-focusable": true }), u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-ProviderBrowserItem-inner", disabled: isDisabled, "aria-label": item.data.name, onClick: () => {
    if (item.data.isFolder) {
      openFolder(item.id);
    }
  }, children: [u2("div", { className: "uppy-ProviderBrowserItem-iconWrap", children: u2(ItemIcon, { itemIconString: item.data.icon }) }), item.data.name ?? i18n("unnamed")] })] });
};
var SearchResultItem_default = SearchResultItem;

// node_modules/uppy6-core/lib/provider-views/ProviderView/GlobalSearchView.js
var GlobalSearchView = ({ searchResults, toggleCheckbox, openFolder, i18n }) => {
  if (searchResults.length === 0) {
    return u2("div", { className: "uppy-Provider-empty", children: i18n("noFilesFound") });
  }
  return u2("div", { className: "uppy-ProviderBrowser-body", children: u2("ul", { className: "uppy-ProviderBrowser-list", children: searchResults.map((item) => u2(SearchResultItem_default, { i18n, item, toggleCheckbox, openFolder }, item.id)) }) });
};
var GlobalSearchView_default = GlobalSearchView;

// node_modules/uppy6-core/lib/provider-views/ProviderView/Header.js
var import_classnames6 = __toESM(require_classnames(), 1);

// node_modules/uppy6-core/lib/provider-views/Breadcrumbs.js
function Breadcrumbs(props) {
  const { openFolder, title, breadcrumbsIcon, breadcrumbs, i18n } = props;
  return u2("div", { className: "uppy-Provider-breadcrumbs", children: [u2("div", { className: "uppy-Provider-breadcrumbsIcon", children: breadcrumbsIcon }), breadcrumbs.map((folder, index) => {
    const label = folder.type === "root" ? title : folder.data.name ?? i18n("unnamed");
    const isCurrent = breadcrumbs.length === index + 1;
    return u2(S, { children: [u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn", onClick: isCurrent ? void 0 : () => openFolder(folder.id), "aria-current": isCurrent ? "page" : void 0, title: label, children: label }), !isCurrent && u2("span", { "aria-hidden": "true", className: "uppy-Provider-breadcrumbsSeparator", children: "/" })] }, folder.id);
  })] });
}

// node_modules/uppy6-core/lib/provider-views/ProviderView/User.js
function User({ i18n, logout, username }) {
  return u2(S, { children: [username && u2("span", { className: "uppy-ProviderBrowser-user", children: username }, "username"), u2("button", { type: "button", onClick: logout, className: "uppy-u-reset uppy-c-btn uppy-ProviderBrowser-userLogout", children: i18n("logOut") }, "logout")] });
}

// node_modules/uppy6-core/lib/provider-views/ProviderView/Header.js
function Header(props) {
  const toolbarActions = props.toolbarActions ?? [];
  return u2("div", { className: "uppy-ProviderBrowser-header", children: u2("div", { className: (0, import_classnames6.default)("uppy-ProviderBrowser-headerBar", !props.showBreadcrumbs && "uppy-ProviderBrowser-headerBar--simple"), children: [props.showBreadcrumbs && u2(Breadcrumbs, { openFolder: props.openFolder, breadcrumbs: props.breadcrumbs, breadcrumbsIcon: props.pluginIcon?.(), title: props.title, i18n: props.i18n }), toolbarActions.length > 0 && u2("div", { className: "uppy-ProviderBrowser-toolbar", children: toolbarActions.map((action) => u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-ProviderBrowser-toolbarBtn", onClick: () => props.runToolbarAction?.(action), children: action.label }, action.id)) }), u2(User, { logout: props.logout, username: props.username, i18n: props.i18n })] }) });
}

// node_modules/uppy6-core/lib/provider-views/ProviderView/ProviderView.js
function defaultPickerIcon() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", width: "30", height: "30", viewBox: "0 0 30 30", children: u2("path", { d: "M15 30c8.284 0 15-6.716 15-15 0-8.284-6.716-15-15-15C6.716 0 0 6.716 0 15c0 8.284 6.716 15 15 15zm4.258-12.676v6.846h-8.426v-6.846H5.204l9.82-12.364 9.82 12.364H19.26z" }) });
}
var getDefaultState = (rootFolderId) => ({
  authenticated: void 0,
  // we don't know yet
  partialTree: [
    {
      type: "root",
      id: rootFolderId,
      cached: false,
      nextPagePath: null
    }
  ],
  currentFolderId: rootFolderId,
  searchString: "",
  didFirstRender: false,
  username: null,
  loading: false,
  detailItemId: void 0
});
function lineage(byId, node) {
  const chain = [node];
  let parent = byId.get(node.parentId);
  while (parent && parent.type !== "root") {
    chain.push(parent);
    parent = byId.get(parent.parentId);
  }
  return chain;
}
var ProviderView = class _ProviderView {
  static VERSION = package_default.version;
  // Test hook (mirrors GoldenRetriever pattern): allow tests to override debounce time
  // @ts-expect-error test-only hook key
  static [/* @__PURE__ */ Symbol.for("uppy test: searchDebounceMs")];
  plugin;
  provider;
  opts;
  isHandlingScroll = false;
  previousCheckbox = null;
  #searchDebounced;
  constructor(plugin, opts) {
    this.plugin = plugin;
    this.provider = opts.provider;
    this.#dialogs = new ProviderDialogController(plugin);
    const defaultOptions4 = {
      viewType: "list",
      showTitles: true,
      showFilter: true,
      showBreadcrumbs: true,
      loadAllFiles: false,
      virtualList: false
    };
    this.opts = { ...defaultOptions4, ...opts };
    this.openFolder = this.openFolder.bind(this);
    this.logout = this.logout.bind(this);
    this.handleAuth = this.handleAuth.bind(this);
    this.handleScroll = this.handleScroll.bind(this);
    this.resetPluginState = this.resetPluginState.bind(this);
    this.donePicking = this.donePicking.bind(this);
    this.render = this.render.bind(this);
    this.cancelSelection = this.cancelSelection.bind(this);
    this.toggleCheckbox = this.toggleCheckbox.bind(this);
    this.openSearchResultFolder = this.openSearchResultFolder.bind(this);
    this.clearSearchState = this.clearSearchState.bind(this);
    this.resetPluginState();
    this.plugin.uppy.on("dashboard:close-panel", this.resetPluginState);
    this.plugin.uppy.registerRequestClient(this.provider.provider, this.provider);
    const testHookSymbol = /* @__PURE__ */ Symbol.for("uppy test: searchDebounceMs");
    const testWait = _ProviderView[testHookSymbol];
    const wait = testWait ?? 500;
    const debounceOpts = testWait === 0 ? { leading: true, trailing: true } : void 0;
    this.#searchDebounced = (0, import_debounce.default)(this.#search, wait, debounceOpts);
  }
  resetPluginState() {
    this.#selectionRoots.clear();
    this.#dialogs.cancel();
    this.plugin.setPluginState(getDefaultState(this.plugin.rootFolderId));
  }
  /**
   * Forget everything we know about the current folder and fetch it again.
   * Used after mutations (rename, delete, new folder, upload into folder).
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  refreshCurrentFolder = async (invalidateAll = false) => {
    const { partialTree, currentFolderId } = this.plugin.getPluginState();
    if (partialTree == null)
      return;
    if (this.#cancelLongOperation)
      return;
    const refresh = ++this.#refreshes;
    const checkedIds = partialTree.flatMap((node) => node.type !== "root" && node.parentId === currentFolderId && node.status === "checked" ? [node.id] : []);
    const byId = new Map(partialTree.map((node) => [node.id, node]));
    const isInsideCurrent = (node) => lineage(byId, node).some(({ parentId }) => parentId === currentFolderId);
    const navigationIds = new Set(getBreadcrumbs_default(partialTree, currentFolderId).map((node) => node.id));
    const nextTree = partialTree.filter((node) => node.type === "root" || !isInsideCurrent(node)).filter((node) => !invalidateAll || navigationIds.has(node.id)).map((node) => (invalidateAll || node.id === currentFolderId) && node.type !== "file" ? (
      // Checked ancestors may only reflect previously selected children. Never let a new
      // listing inherit that aggregate selection; restore surviving children explicitly below.
      {
        ...node,
        status: "unchecked",
        cached: false,
        nextPagePath: null
      }
    ) : node);
    this.plugin.setPluginState({ partialTree: nextTree });
    await this.openFolder(currentFolderId);
    const { partialTree: refreshedTree, detailItemId } = this.plugin.getPluginState();
    if (refreshedTree == null)
      return;
    const listed = refreshedTree.some((node) => node.id === currentFolderId && node.type !== "file" && node.cached);
    if (refresh === this.#refreshes && listed && detailItemId && !refreshedTree.some(({ id }) => id === detailItemId)) {
      this.closeItemDetail();
    }
    const survivors = checkedIds.filter((id) => refreshedTree.some((node) => node.type !== "root" && node.id === id && node.status !== "checked"));
    if (survivors.length > 0) {
      this.plugin.setPluginState({
        partialTree: PartialTreeUtils_default.afterToggleCheckbox(refreshedTree, survivors, this.opts.mode === "manager")
      });
    }
  };
  /**
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  runAction = (action, item) => this.#run(action, () => action.run({ item, ...this.#actionContext() }));
  /**
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  runToolbarAction = (action) => this.#run(action, () => action.run({
    currentFolderId: this.plugin.getPluginState().currentFolderId,
    ...this.#actionContext()
  }));
  #actionContext = () => {
    const { uppy: uppy2 } = this.plugin;
    return { view: this, uppy: uppy2, i18n: uppy2.i18n };
  };
  /**
   * Runs an action and reports errors as toasts. An action that returns
   * `false` did nothing (a cancelled prompt) and keeps the current listing;
   * anything else, including a failure or a cancelled long operation, refreshes
   * the folder so a partially applied change shows.
   */
  async #run({ refresh }, run) {
    try {
      if (await run() === false)
        return;
    } catch (err) {
      this.#reportActionError(err);
    }
    if (refresh !== false)
      await this.refreshCurrentFolder(true);
  }
  #reportActionError(err) {
    const { uppy: uppy2 } = this.plugin;
    if (isAbortError(err)) {
      uppy2.log("[ProviderView] action cancelled", "warning");
      return;
    }
    uppy2.log(`[ProviderView] action failed: ${getErrorMessage(err)}`, "error");
    const message = err instanceof Error && err.name === "UserFacingApiError" ? describeCompanionError(uppy2.i18n, err) : err instanceof ErrorWithCause_default || isAuthError(err) ? uppy2.i18n("companionError") : uppy2.i18n("actionFailed");
    uppy2.info(message, "error", 5e3);
  }
  #cancelLongOperation;
  /**
   * Runs a long write operation (a folder move, a bulk delete) with progress
   * text in `loading`, cancellable with `cancelLongOperation()` (the hook's
   * `cancelOperation`). For manager mode: the picker panel shows the progress
   * text but offers no way to stop it. `signal` aborts when it is cancelled, the panel
   * closes or uploads are cancelled; pass it to every request. The operation
   * should throw an `AbortError` when it stops early, which `#run` treats as
   * a cancel rather than a failure.
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  async runWithProgress(op) {
    try {
      await this.#withAbort(async (signal) => {
        const controller = this.#abortController;
        this.#cancelLongOperation = () => controller?.abort();
        this.setLoading(true);
        await op({ signal, setProgress: (label) => this.setLoading(label) });
      });
    } finally {
      this.#cancelLongOperation = void 0;
      this.setLoading(false);
    }
  }
  /**
   * The detail item as last seen in the tree. A refresh drops the folder's
   * items until it is listed again; the detail keeps this one meanwhile
   * instead of closing and reopening.
   */
  #detailItem;
  #refreshes = 0;
  /**
   * Manager mode: make one item the detail item, which a headless UI shows
   * (see `getDetailItem`).
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  openItemDetail = (item) => {
    this.#detailItem = item;
    this.plugin.setPluginState({ detailItemId: item.id });
  };
  /**
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  closeItemDetail = () => {
    this.plugin.setPluginState({ detailItemId: void 0 });
  };
  /**
   * The detail item: as it is in the tree, or as last seen while a refresh
   * relists its folder. `undefined` once closed.
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  getDetailItem = () => {
    const { partialTree, detailItemId } = this.plugin.getPluginState();
    if (!detailItemId)
      return void 0;
    this.#detailItem = partialTree.find((node) => node.type !== "root" && node.id === detailItemId) ?? this.#detailItem;
    return this.#detailItem?.id === detailItemId ? this.#detailItem : void 0;
  };
  // Checkbox aggregation also checks parents of selected children. Only user-selected folders
  // (and their selected descendants) may become folder mutation targets.
  #selectionRoots = /* @__PURE__ */ new Set();
  /**
   * The items a bulk action gets: the checked ones, top-most only (an action
   * on a folder covers what is inside it). A headless UI's selection count
   * (`useS3Manager`'s `selected`) is these items.
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  getBulkActionItems = () => {
    const { partialTree } = this.plugin.getPluginState();
    const byId = new Map(partialTree.map((node) => [node.id, node]));
    const checked = partialTree.filter((node) => node.type !== "root" && node.status === "checked" && (node.type === "file" || lineage(byId, node).some(({ id }) => this.#selectionRoots.has(id))));
    const checkedIds = new Set(checked.map((node) => node.id));
    return checked.filter((node) => !lineage(byId, node).slice(1).some(({ id }) => checkedIds.has(id)));
  };
  /**
   * Run a bulk action over the checked items, then clear the selection.
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  runBulkAction = (action) => this.#run(action, async () => {
    const items = this.getBulkActionItems();
    if (items.length === 0)
      return false;
    const result = await action.run({ items, ...this.#actionContext() });
    if (result !== false)
      this.cancelSelection();
    return result;
  });
  #dialogs;
  /**
   * Ask the user for a string with an inline dialog (instead of `window.prompt`).
   * Resolves with `null` when the user cancels.
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  prompt(options) {
    return this.#dialogs.prompt(options);
  }
  /**
   * Ask the user to confirm something with an inline dialog (instead of `window.confirm`).
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  confirm(options) {
    return this.#dialogs.confirm(options);
  }
  /**
   * Answer the open dialog from a headless UI (`value` is the prompt's input).
   *
   * @experimental Part of the file-management API added for `@uppy/s3`: it
   * will change incompatibly, also in minor releases.
   */
  submitDialog = (value) => this.#dialogs.submit(value);
  /** @experimental See `submitDialog`. */
  cancelDialog = () => this.#dialogs.cancel();
  /** @experimental Stop the running `runWithProgress` operation, if any. */
  cancelLongOperation = () => this.#cancelLongOperation?.();
  /** @experimental Whether `cancelLongOperation` has something to stop. */
  get canCancelOperation() {
    return this.#cancelLongOperation !== void 0;
  }
  tearDown() {
  }
  setLoading(loading) {
    this.plugin.setPluginState({ loading });
  }
  get isLoading() {
    return this.plugin.getPluginState().loading;
  }
  cancelSelection() {
    this.#selectionRoots.clear();
    const { partialTree } = this.plugin.getPluginState();
    const newPartialTree = partialTree.map((item) => item.type === "root" ? item : { ...item, status: "unchecked" });
    this.plugin.setPluginState({ partialTree: newPartialTree });
  }
  clearSearchState() {
    this.plugin.setPluginState({
      searchResults: void 0
    });
  }
  #abortController;
  async #withAbort(op) {
    this.#abortController?.abort();
    const abortController = new AbortController();
    this.#abortController = abortController;
    const cancelRequest = () => {
      abortController.abort();
    };
    try {
      if (this.opts.mode !== "manager") {
        this.plugin.uppy.on("dashboard:close-panel", cancelRequest);
      }
      this.plugin.uppy.on("cancel-all", cancelRequest);
      await op(abortController.signal);
    } finally {
      if (this.#abortController === abortController) {
        this.#abortController = void 0;
      }
      this.plugin.uppy.off("dashboard:close-panel", cancelRequest);
      this.plugin.uppy.off("cancel-all", cancelRequest);
    }
  }
  /**
   * Ends a listing's loading state, unless a long operation (`runWithProgress`)
   * has started meanwhile: the listing it aborted must not wipe the
   * operation's progress text on its way out.
   */
  #doneLoading() {
    if (this.#cancelLongOperation === void 0)
      this.setLoading(false);
  }
  async #search() {
    const { partialTree, currentFolderId, searchString } = this.plugin.getPluginState();
    const currentFolder = partialTree.find((i4) => i4.id === currentFolderId);
    if (searchString.trim() === "") {
      this.#abortController?.abort();
      this.clearSearchState();
      return;
    }
    this.setLoading(true);
    await this.#withAbort(async (signal) => {
      const scopePath = currentFolder.type === "root" ? void 0 : currentFolderId;
      const { items } = await this.provider.search(searchString, {
        signal,
        path: scopePath
      });
      const { partialTree: partialTree2 } = this.plugin.getPluginState();
      const newPartialTree = [...partialTree2];
      for (const file of items) {
        const decodedPath = decodeURIComponent(file.requestPath);
        const segments = decodedPath.split("/").filter((s4) => s4.length > 0);
        let parentId = this.plugin.rootFolderId;
        let isParentFolderChecked;
        segments.forEach((segment, index, arr) => {
          const pathSegments = segments.slice(0, index + 1);
          const encodedPath = encodeURIComponent(`/${pathSegments.join("/")}`);
          const existingNode = newPartialTree.find((n3) => n3.id === encodedPath && n3.type !== "root");
          if (existingNode) {
            parentId = encodedPath;
            isParentFolderChecked = existingNode.status === "checked";
            return;
          }
          const isLeafNode = index === arr.length - 1;
          let node;
          const status = isParentFolderChecked ? "checked" : "unchecked";
          if (isLeafNode) {
            if (file.isFolder) {
              node = {
                type: "folder",
                id: encodedPath,
                cached: false,
                nextPagePath: null,
                status,
                parentId,
                data: file
              };
            } else {
              const restrictionError = this.validateSingleFile(file);
              node = {
                type: "file",
                id: encodedPath,
                restrictionError,
                status: !restrictionError ? status : "unchecked",
                parentId,
                data: file
              };
            }
          } else {
            node = {
              type: "folder",
              id: encodedPath,
              cached: false,
              nextPagePath: null,
              status,
              parentId,
              data: {
                // we don't have any data, so fill only the necessary fields
                name: decodeURIComponent(segment),
                icon: "folder",
                isFolder: true
              }
            };
          }
          newPartialTree.push(node);
          parentId = encodedPath;
          isParentFolderChecked = status === "checked";
        });
      }
      this.plugin.setPluginState({
        partialTree: newPartialTree,
        searchResults: items.map((item) => item.requestPath)
      });
    }).catch(handleError_default(this.plugin.uppy));
    this.#doneLoading();
  }
  // debounced search function is initialized in the constructor
  onSearchInput = (s4) => {
    this.plugin.setPluginState({ searchString: s4 });
    if (this.opts.supportsSearch) {
      this.#searchDebounced();
    }
  };
  async openSearchResultFolder(folderId) {
    this.plugin.setPluginState({ searchString: "" });
    await this.openFolder(folderId);
  }
  async openFolder(folderId) {
    this.clearSearchState();
    this.previousCheckbox = null;
    const { partialTree } = this.plugin.getPluginState();
    const clickedFolder = partialTree.find((folder) => folder.id === folderId);
    if (clickedFolder.cached) {
      this.plugin.setPluginState({
        currentFolderId: folderId,
        searchString: ""
      });
      return;
    }
    this.setLoading(true);
    await this.#withAbort(async (signal) => {
      let currentPagePath = folderId;
      let currentItems = [];
      do {
        const { username, nextPagePath, items } = await this.provider.list(currentPagePath, {
          signal
        });
        this.plugin.setPluginState({ username });
        currentPagePath = nextPagePath;
        currentItems = currentItems.concat(items);
        this.setLoading(this.plugin.uppy.i18n("loadedXFiles", {
          numFiles: currentItems.length
        }));
      } while (this.opts.loadAllFiles && currentPagePath);
      const newPartialTree = PartialTreeUtils_default.afterOpenFolder(partialTree, currentItems, clickedFolder, currentPagePath, this.validateSingleFile);
      this.plugin.setPluginState({
        partialTree: newPartialTree,
        currentFolderId: folderId,
        searchString: ""
      });
    }).catch(handleError_default(this.plugin.uppy));
    this.#doneLoading();
  }
  /**
   * Removes session token on client side.
   */
  async logout() {
    this.#selectionRoots.clear();
    await this.#withAbort(async (signal) => {
      const res = await this.provider.logout({
        signal
      });
      if (res.ok) {
        if (!res.revoked) {
          const message = this.plugin.uppy.i18n("companionUnauthorizeHint", {
            provider: this.plugin.title,
            url: res.manual_revoke_url
          });
          this.plugin.uppy.info(message, "info", 7e3);
        }
        this.plugin.setPluginState({
          ...getDefaultState(this.plugin.rootFolderId),
          authenticated: false
        });
      }
    }).catch(handleError_default(this.plugin.uppy));
  }
  async handleAuth(authFormData) {
    await this.#withAbort(async (signal) => {
      this.setLoading(true);
      await this.provider.login({ authFormData, signal });
      this.plugin.setPluginState({ authenticated: true });
      await Promise.all([
        this.provider.fetchPreAuthToken(),
        this.openFolder(this.plugin.rootFolderId)
      ]);
    }).catch(handleError_default(this.plugin.uppy));
    this.#doneLoading();
  }
  async handleScroll(event) {
    if (shouldHandleScroll_default(event))
      await this.loadNextPage();
  }
  #nextPageRequest;
  /** Load the current folder's next page, shared by scrolling and programmatic navigation. */
  loadNextPage() {
    if (!this.#nextPageRequest) {
      this.#nextPageRequest = this.#loadNextPage().finally(() => {
        this.#nextPageRequest = void 0;
      });
    }
    return this.#nextPageRequest;
  }
  async #loadNextPage() {
    const { partialTree, currentFolderId } = this.plugin.getPluginState();
    const currentFolder = partialTree.find((i4) => i4.id === currentFolderId);
    if (currentFolder && currentFolder.type !== "file" && currentFolder.nextPagePath) {
      const pagePath = currentFolder.nextPagePath;
      let loaded = false;
      this.isHandlingScroll = true;
      await this.#withAbort(async (signal) => {
        const { nextPagePath, items } = await this.provider.list(pagePath, { signal });
        const current = this.plugin.getPluginState();
        if (signal.aborted || current.currentFolderId !== currentFolderId)
          return;
        const newPartialTree = PartialTreeUtils_default.afterScrollFolder(current.partialTree, currentFolderId, items, nextPagePath, this.validateSingleFile);
        this.plugin.setPluginState({ partialTree: newPartialTree });
        loaded = true;
      }).catch(handleError_default(this.plugin.uppy));
      this.isHandlingScroll = false;
      return loaded;
    }
    return false;
  }
  validateSingleFile = (file) => {
    const companionFile = remoteFileObjToLocal(file);
    const result = this.plugin.uppy.validateSingleFile(companionFile);
    return result;
  };
  async donePicking() {
    const { partialTree } = this.plugin.getPluginState();
    if (this.isLoading)
      return;
    this.setLoading(true);
    await this.#withAbort(async (signal) => {
      const enrichedTree = await PartialTreeUtils_default.afterFill(partialTree, (path) => this.provider.list(path, { signal }), this.validateSingleFile, (n3) => {
        this.setLoading(this.plugin.uppy.i18n("addedNumFiles", { numFiles: n3 }));
      });
      const aggregateRestrictionError = this.validateAggregateRestrictions(enrichedTree);
      if (aggregateRestrictionError) {
        this.plugin.setPluginState({ partialTree: enrichedTree });
        return;
      }
      const companionFiles = getCheckedFilesWithPaths_default(enrichedTree);
      addFiles_default(companionFiles, this.plugin, this.provider);
      this.resetPluginState();
    }).catch(handleError_default(this.plugin.uppy));
    this.#doneLoading();
  }
  /**
   * `visibleOrder` is the rows as a custom UI shows them (sorted, filtered),
   * so a shift-click range matches what the user sees.
   */
  toggleCheckbox(ourItem, isShiftKeyPressed, visibleOrder = this.getDisplayedPartialTree()) {
    const { partialTree } = this.plugin.getPluginState();
    const clickedRange = getClickedRange_default(ourItem.id, visibleOrder, isShiftKeyPressed, this.previousCheckbox);
    const newPartialTree = PartialTreeUtils_default.afterToggleCheckbox(partialTree, clickedRange, this.opts.mode === "manager");
    const statusById = new Map(newPartialTree.map((node) => [
      node.id,
      node.type === "root" ? void 0 : node.status
    ]));
    for (const id of clickedRange) {
      if (statusById.get(id) === "checked")
        this.#selectionRoots.add(id);
    }
    for (const id of this.#selectionRoots) {
      const status = statusById.get(id);
      if (status === void 0 || status === "unchecked")
        this.#selectionRoots.delete(id);
    }
    this.plugin.setPluginState({ partialTree: newPartialTree });
    this.previousCheckbox = ourItem.id;
  }
  getDisplayedPartialTree = () => {
    const { partialTree, currentFolderId, searchString } = this.plugin.getPluginState();
    const inThisFolder = partialTree.filter((item) => item.type !== "root" && item.parentId === currentFolderId);
    const filtered = this.opts.supportsSearch || searchString.trim() === "" ? inThisFolder : inThisFolder.filter((item) => (item.data.name ?? this.plugin.uppy.i18n("unnamed")).toLowerCase().indexOf(searchString.trim().toLowerCase()) !== -1);
    return filtered;
  };
  getBreadcrumbs = () => {
    const { partialTree, currentFolderId } = this.plugin.getPluginState();
    return getBreadcrumbs_default(partialTree, currentFolderId);
  };
  getSelectedAmount = () => {
    const { partialTree } = this.plugin.getPluginState();
    return getNumberOfSelectedFiles_default(partialTree);
  };
  validateAggregateRestrictions = (partialTree) => {
    const checkedFiles = partialTree.filter((item) => item.type === "file" && item.status === "checked");
    const uppyFiles = checkedFiles.map((file) => file.data);
    return this.plugin.uppy.validateAggregateRestrictions(uppyFiles);
  };
  #renderSearchResults() {
    const { i18n } = this.plugin.uppy;
    const { searchResults: ids, partialTree } = this.plugin.getPluginState();
    const itemsById = /* @__PURE__ */ new Map();
    partialTree.forEach((item) => {
      if (item.type !== "root") {
        itemsById.set(item.id, item);
      }
    });
    const searchResults = ids.map((id) => {
      const partialTreeItem = itemsById.get(id);
      if (partialTreeItem == null)
        throw new Error("Partial tree not complete");
      return partialTreeItem;
    });
    return u2(GlobalSearchView_default, { searchResults, openFolder: this.openSearchResultFolder, toggleCheckbox: this.toggleCheckbox, i18n });
  }
  #warnedManagerRender = false;
  render(_state, viewOptions = {}) {
    const opts = { ...this.opts, ...viewOptions };
    if (opts.mode === "manager") {
      if (!this.#warnedManagerRender) {
        this.#warnedManagerRender = true;
        this.plugin.uppy.log(`[${this.plugin.id}] manager mode has no panel UI: render it headlessly`, "warning");
      }
      return u2("div", { className: "uppy-ProviderBrowser" });
    }
    const { didFirstRender } = this.plugin.getPluginState();
    const { i18n } = this.plugin.uppy;
    if (!didFirstRender) {
      this.plugin.setPluginState({ didFirstRender: true });
      this.provider.fetchPreAuthToken();
      this.openFolder(this.plugin.rootFolderId);
    }
    const { authenticated, loading } = this.plugin.getPluginState();
    const pluginIcon = this.plugin.icon || defaultPickerIcon;
    if (authenticated === false) {
      return u2(AuthView, { pluginName: this.plugin.title, pluginIcon, handleAuth: this.handleAuth, i18n: this.plugin.uppy.i18n, renderForm: opts.renderAuthForm, loading });
    }
    const { partialTree, username, searchString, searchResults, dialog } = this.plugin.getPluginState();
    const breadcrumbs = this.getBreadcrumbs();
    return u2("div", { className: (0, import_classnames7.default)("uppy-ProviderBrowser", `uppy-ProviderBrowser-viewType--${opts.viewType}`), children: [u2(Header, { showBreadcrumbs: opts.showBreadcrumbs, openFolder: this.openFolder, breadcrumbs, pluginIcon, title: this.plugin.title, logout: this.logout, username, i18n, toolbarActions: opts.toolbarActions ?? [], runToolbarAction: this.runToolbarAction }), opts.showFilter && u2(FilterInput_default, { value: searchString, onChange: (s4) => this.onSearchInput(s4), onSubmit: () => {
    }, inputLabel: i18n("filter"), i18n }), searchResults ? this.#renderSearchResults() : u2(Browser_default, { toggleCheckbox: this.toggleCheckbox, displayedPartialTree: this.getDisplayedPartialTree(), openFolder: this.openFolder, virtualList: opts.virtualList, noResultsLabel: i18n("noFilesFound"), handleScroll: this.handleScroll, viewType: opts.viewType, showTitles: opts.showTitles, i18n: this.plugin.uppy.i18n, isLoading: loading, utmSource: "Companion", actions: opts.actions ?? [], runAction: this.runAction }), u2(FooterActions, { partialTree, donePicking: this.donePicking, cancelSelection: this.cancelSelection, i18n, validateAggregateRestrictions: this.validateAggregateRestrictions }), dialog && u2(ProviderDialog, { dialog, i18n, onConfirm: this.#dialogs.submit, onCancel: this.#dialogs.cancel }, this.#dialogs.revision)] });
  }
};

// node_modules/exifr/dist/mini.esm.mjs
function e3(e4, t4, s4) {
  return t4 in e4 ? Object.defineProperty(e4, t4, { value: s4, enumerable: true, configurable: true, writable: true }) : e4[t4] = s4, e4;
}
var t3 = "undefined" != typeof self ? self : global;
var s3 = "undefined" != typeof navigator;
var i3 = s3 && "undefined" == typeof HTMLImageElement;
var n2 = !("undefined" == typeof global || "undefined" == typeof process || !process.versions || !process.versions.node);
var r3 = t3.Buffer;
var a3 = !!r3;
var h3 = (e4) => void 0 !== e4;
function f4(e4) {
  return void 0 === e4 || (e4 instanceof Map ? 0 === e4.size : 0 === Object.values(e4).filter(h3).length);
}
function l3(e4) {
  let t4 = new Error(e4);
  throw delete t4.stack, t4;
}
function o3(e4) {
  let t4 = (function(e5) {
    let t5 = 0;
    return e5.ifd0.enabled && (t5 += 1024), e5.exif.enabled && (t5 += 2048), e5.makerNote && (t5 += 2048), e5.userComment && (t5 += 1024), e5.gps.enabled && (t5 += 512), e5.interop.enabled && (t5 += 100), e5.ifd1.enabled && (t5 += 1024), t5 + 2048;
  })(e4);
  return e4.jfif.enabled && (t4 += 50), e4.xmp.enabled && (t4 += 2e4), e4.iptc.enabled && (t4 += 14e3), e4.icc.enabled && (t4 += 6e3), t4;
}
var u4 = (e4) => String.fromCharCode.apply(null, e4);
var d3 = "undefined" != typeof TextDecoder ? new TextDecoder("utf-8") : void 0;
var c3 = class _c {
  static from(e4, t4) {
    return e4 instanceof this && e4.le === t4 ? e4 : new _c(e4, void 0, void 0, t4);
  }
  constructor(e4, t4 = 0, s4, i4) {
    if ("boolean" == typeof i4 && (this.le = i4), Array.isArray(e4) && (e4 = new Uint8Array(e4)), 0 === e4) this.byteOffset = 0, this.byteLength = 0;
    else if (e4 instanceof ArrayBuffer) {
      void 0 === s4 && (s4 = e4.byteLength - t4);
      let i5 = new DataView(e4, t4, s4);
      this._swapDataView(i5);
    } else if (e4 instanceof Uint8Array || e4 instanceof DataView || e4 instanceof _c) {
      void 0 === s4 && (s4 = e4.byteLength - t4), (t4 += e4.byteOffset) + s4 > e4.byteOffset + e4.byteLength && l3("Creating view outside of available memory in ArrayBuffer");
      let i5 = new DataView(e4.buffer, t4, s4);
      this._swapDataView(i5);
    } else if ("number" == typeof e4) {
      let t5 = new DataView(new ArrayBuffer(e4));
      this._swapDataView(t5);
    } else l3("Invalid input argument for BufferView: " + e4);
  }
  _swapArrayBuffer(e4) {
    this._swapDataView(new DataView(e4));
  }
  _swapBuffer(e4) {
    this._swapDataView(new DataView(e4.buffer, e4.byteOffset, e4.byteLength));
  }
  _swapDataView(e4) {
    this.dataView = e4, this.buffer = e4.buffer, this.byteOffset = e4.byteOffset, this.byteLength = e4.byteLength;
  }
  _lengthToEnd(e4) {
    return this.byteLength - e4;
  }
  set(e4, t4, s4 = _c) {
    return e4 instanceof DataView || e4 instanceof _c ? e4 = new Uint8Array(e4.buffer, e4.byteOffset, e4.byteLength) : e4 instanceof ArrayBuffer && (e4 = new Uint8Array(e4)), e4 instanceof Uint8Array || l3("BufferView.set(): Invalid data argument."), this.toUint8().set(e4, t4), new s4(this, t4, e4.byteLength);
  }
  subarray(e4, t4) {
    return t4 = t4 || this._lengthToEnd(e4), new _c(this, e4, t4);
  }
  toUint8() {
    return new Uint8Array(this.buffer, this.byteOffset, this.byteLength);
  }
  getUint8Array(e4, t4) {
    return new Uint8Array(this.buffer, this.byteOffset + e4, t4);
  }
  getString(e4 = 0, t4 = this.byteLength) {
    let s4 = this.getUint8Array(e4, t4);
    return i4 = s4, d3 ? d3.decode(i4) : a3 ? Buffer.from(i4).toString("utf8") : decodeURIComponent(escape(u4(i4)));
    var i4;
  }
  getLatin1String(e4 = 0, t4 = this.byteLength) {
    let s4 = this.getUint8Array(e4, t4);
    return u4(s4);
  }
  getUnicodeString(e4 = 0, t4 = this.byteLength) {
    const s4 = [];
    for (let i4 = 0; i4 < t4 && e4 + i4 < this.byteLength; i4 += 2) s4.push(this.getUint16(e4 + i4));
    return u4(s4);
  }
  getInt8(e4) {
    return this.dataView.getInt8(e4);
  }
  getUint8(e4) {
    return this.dataView.getUint8(e4);
  }
  getInt16(e4, t4 = this.le) {
    return this.dataView.getInt16(e4, t4);
  }
  getInt32(e4, t4 = this.le) {
    return this.dataView.getInt32(e4, t4);
  }
  getUint16(e4, t4 = this.le) {
    return this.dataView.getUint16(e4, t4);
  }
  getUint32(e4, t4 = this.le) {
    return this.dataView.getUint32(e4, t4);
  }
  getFloat32(e4, t4 = this.le) {
    return this.dataView.getFloat32(e4, t4);
  }
  getFloat64(e4, t4 = this.le) {
    return this.dataView.getFloat64(e4, t4);
  }
  getFloat(e4, t4 = this.le) {
    return this.dataView.getFloat32(e4, t4);
  }
  getDouble(e4, t4 = this.le) {
    return this.dataView.getFloat64(e4, t4);
  }
  getUintBytes(e4, t4, s4) {
    switch (t4) {
      case 1:
        return this.getUint8(e4, s4);
      case 2:
        return this.getUint16(e4, s4);
      case 4:
        return this.getUint32(e4, s4);
      case 8:
        return this.getUint64 && this.getUint64(e4, s4);
    }
  }
  getUint(e4, t4, s4) {
    switch (t4) {
      case 8:
        return this.getUint8(e4, s4);
      case 16:
        return this.getUint16(e4, s4);
      case 32:
        return this.getUint32(e4, s4);
      case 64:
        return this.getUint64 && this.getUint64(e4, s4);
    }
  }
  toString(e4) {
    return this.dataView.toString(e4, this.constructor.name);
  }
  ensureChunk() {
  }
};
function p3(e4, t4) {
  l3(`${e4} '${t4}' was not loaded, try using full build of exifr.`);
}
var g3 = class extends Map {
  constructor(e4) {
    super(), this.kind = e4;
  }
  get(e4, t4) {
    return this.has(e4) || p3(this.kind, e4), t4 && (e4 in t4 || (function(e5, t5) {
      l3(`Unknown ${e5} '${t5}'.`);
    })(this.kind, e4), t4[e4].enabled || p3(this.kind, e4)), super.get(e4);
  }
  keyList() {
    return Array.from(this.keys());
  }
};
var m3 = new g3("file parser");
var y3 = new g3("segment parser");
var b2 = new g3("file reader");
var w3 = t3.fetch;
function k3(e4, t4) {
  return (i4 = e4).startsWith("data:") || i4.length > 1e4 ? v3(e4, t4, "base64") : n2 && e4.includes("://") ? O2(e4, t4, "url", S2) : n2 ? v3(e4, t4, "fs") : s3 ? O2(e4, t4, "url", S2) : void l3("Invalid input argument");
  var i4;
}
async function O2(e4, t4, s4, i4) {
  return b2.has(s4) ? v3(e4, t4, s4) : i4 ? (async function(e5, t5) {
    let s5 = await t5(e5);
    return new c3(s5);
  })(e4, i4) : void l3(`Parser ${s4} is not loaded`);
}
async function v3(e4, t4, s4) {
  let i4 = new (b2.get(s4))(e4, t4);
  return await i4.read(), i4;
}
var S2 = (e4) => w3(e4).then(((e5) => e5.arrayBuffer()));
var A3 = (e4) => new Promise(((t4, s4) => {
  let i4 = new FileReader();
  i4.onloadend = () => t4(i4.result || new ArrayBuffer()), i4.onerror = s4, i4.readAsArrayBuffer(e4);
}));
var U = class extends Map {
  get tagKeys() {
    return this.allKeys || (this.allKeys = Array.from(this.keys())), this.allKeys;
  }
  get tagValues() {
    return this.allValues || (this.allValues = Array.from(this.values())), this.allValues;
  }
};
function x2(e4, t4, s4) {
  let i4 = new U();
  for (let [e5, t5] of s4) i4.set(e5, t5);
  if (Array.isArray(t4)) for (let s5 of t4) e4.set(s5, i4);
  else e4.set(t4, i4);
  return i4;
}
function C3(e4, t4, s4) {
  let i4, n3 = e4.get(t4);
  for (i4 of s4) n3.set(i4[0], i4[1]);
}
var B3 = /* @__PURE__ */ new Map();
var V2 = /* @__PURE__ */ new Map();
var I2 = /* @__PURE__ */ new Map();
var L2 = ["chunked", "firstChunkSize", "firstChunkSizeNode", "firstChunkSizeBrowser", "chunkSize", "chunkLimit"];
var T3 = ["jfif", "xmp", "icc", "iptc", "ihdr"];
var z3 = ["tiff", ...T3];
var P2 = ["ifd0", "ifd1", "exif", "gps", "interop"];
var F2 = [...z3, ...P2];
var j3 = ["makerNote", "userComment"];
var E2 = ["translateKeys", "translateValues", "reviveValues", "multiSegment"];
var M2 = [...E2, "sanitize", "mergeOutput", "silentErrors"];
var _3 = class {
  get translate() {
    return this.translateKeys || this.translateValues || this.reviveValues;
  }
};
var D3 = class extends _3 {
  get needed() {
    return this.enabled || this.deps.size > 0;
  }
  constructor(t4, s4, i4, n3) {
    if (super(), e3(this, "enabled", false), e3(this, "skip", /* @__PURE__ */ new Set()), e3(this, "pick", /* @__PURE__ */ new Set()), e3(this, "deps", /* @__PURE__ */ new Set()), e3(this, "translateKeys", false), e3(this, "translateValues", false), e3(this, "reviveValues", false), this.key = t4, this.enabled = s4, this.parse = this.enabled, this.applyInheritables(n3), this.canBeFiltered = P2.includes(t4), this.canBeFiltered && (this.dict = B3.get(t4)), void 0 !== i4) if (Array.isArray(i4)) this.parse = this.enabled = true, this.canBeFiltered && i4.length > 0 && this.translateTagSet(i4, this.pick);
    else if ("object" == typeof i4) {
      if (this.enabled = true, this.parse = false !== i4.parse, this.canBeFiltered) {
        let { pick: e4, skip: t5 } = i4;
        e4 && e4.length > 0 && this.translateTagSet(e4, this.pick), t5 && t5.length > 0 && this.translateTagSet(t5, this.skip);
      }
      this.applyInheritables(i4);
    } else true === i4 || false === i4 ? this.parse = this.enabled = i4 : l3(`Invalid options argument: ${i4}`);
  }
  applyInheritables(e4) {
    let t4, s4;
    for (t4 of E2) s4 = e4[t4], void 0 !== s4 && (this[t4] = s4);
  }
  translateTagSet(e4, t4) {
    if (this.dict) {
      let s4, i4, { tagKeys: n3, tagValues: r4 } = this.dict;
      for (s4 of e4) "string" == typeof s4 ? (i4 = r4.indexOf(s4), -1 === i4 && (i4 = n3.indexOf(Number(s4))), -1 !== i4 && t4.add(Number(n3[i4]))) : t4.add(s4);
    } else for (let s4 of e4) t4.add(s4);
  }
  finalizeFilters() {
    !this.enabled && this.deps.size > 0 ? (this.enabled = true, X(this.pick, this.deps)) : this.enabled && this.pick.size > 0 && X(this.pick, this.deps);
  }
};
var N2 = { jfif: false, tiff: true, xmp: false, icc: false, iptc: false, ifd0: true, ifd1: false, exif: true, gps: true, interop: false, ihdr: void 0, makerNote: false, userComment: false, multiSegment: false, skip: [], pick: [], translateKeys: true, translateValues: true, reviveValues: true, sanitize: true, mergeOutput: true, silentErrors: true, chunked: true, firstChunkSize: void 0, firstChunkSizeNode: 512, firstChunkSizeBrowser: 65536, chunkSize: 65536, chunkLimit: 5 };
var $2 = /* @__PURE__ */ new Map();
var R2 = class extends _3 {
  static useCached(e4) {
    let t4 = $2.get(e4);
    return void 0 !== t4 || (t4 = new this(e4), $2.set(e4, t4)), t4;
  }
  constructor(e4) {
    super(), true === e4 ? this.setupFromTrue() : void 0 === e4 ? this.setupFromUndefined() : Array.isArray(e4) ? this.setupFromArray(e4) : "object" == typeof e4 ? this.setupFromObject(e4) : l3(`Invalid options argument ${e4}`), void 0 === this.firstChunkSize && (this.firstChunkSize = s3 ? this.firstChunkSizeBrowser : this.firstChunkSizeNode), this.mergeOutput && (this.ifd1.enabled = false), this.filterNestedSegmentTags(), this.traverseTiffDependencyTree(), this.checkLoadedPlugins();
  }
  setupFromUndefined() {
    let e4;
    for (e4 of L2) this[e4] = N2[e4];
    for (e4 of M2) this[e4] = N2[e4];
    for (e4 of j3) this[e4] = N2[e4];
    for (e4 of F2) this[e4] = new D3(e4, N2[e4], void 0, this);
  }
  setupFromTrue() {
    let e4;
    for (e4 of L2) this[e4] = N2[e4];
    for (e4 of M2) this[e4] = N2[e4];
    for (e4 of j3) this[e4] = true;
    for (e4 of F2) this[e4] = new D3(e4, true, void 0, this);
  }
  setupFromArray(e4) {
    let t4;
    for (t4 of L2) this[t4] = N2[t4];
    for (t4 of M2) this[t4] = N2[t4];
    for (t4 of j3) this[t4] = N2[t4];
    for (t4 of F2) this[t4] = new D3(t4, false, void 0, this);
    this.setupGlobalFilters(e4, void 0, P2);
  }
  setupFromObject(e4) {
    let t4;
    for (t4 of (P2.ifd0 = P2.ifd0 || P2.image, P2.ifd1 = P2.ifd1 || P2.thumbnail, Object.assign(this, e4), L2)) this[t4] = W2(e4[t4], N2[t4]);
    for (t4 of M2) this[t4] = W2(e4[t4], N2[t4]);
    for (t4 of j3) this[t4] = W2(e4[t4], N2[t4]);
    for (t4 of z3) this[t4] = new D3(t4, N2[t4], e4[t4], this);
    for (t4 of P2) this[t4] = new D3(t4, N2[t4], e4[t4], this.tiff);
    this.setupGlobalFilters(e4.pick, e4.skip, P2, F2), true === e4.tiff ? this.batchEnableWithBool(P2, true) : false === e4.tiff ? this.batchEnableWithUserValue(P2, e4) : Array.isArray(e4.tiff) ? this.setupGlobalFilters(e4.tiff, void 0, P2) : "object" == typeof e4.tiff && this.setupGlobalFilters(e4.tiff.pick, e4.tiff.skip, P2);
  }
  batchEnableWithBool(e4, t4) {
    for (let s4 of e4) this[s4].enabled = t4;
  }
  batchEnableWithUserValue(e4, t4) {
    for (let s4 of e4) {
      let e5 = t4[s4];
      this[s4].enabled = false !== e5 && void 0 !== e5;
    }
  }
  setupGlobalFilters(e4, t4, s4, i4 = s4) {
    if (e4 && e4.length) {
      for (let e5 of i4) this[e5].enabled = false;
      let t5 = K2(e4, s4);
      for (let [e5, s5] of t5) X(this[e5].pick, s5), this[e5].enabled = true;
    } else if (t4 && t4.length) {
      let e5 = K2(t4, s4);
      for (let [t5, s5] of e5) X(this[t5].skip, s5);
    }
  }
  filterNestedSegmentTags() {
    let { ifd0: e4, exif: t4, xmp: s4, iptc: i4, icc: n3 } = this;
    this.makerNote ? t4.deps.add(37500) : t4.skip.add(37500), this.userComment ? t4.deps.add(37510) : t4.skip.add(37510), s4.enabled || e4.skip.add(700), i4.enabled || e4.skip.add(33723), n3.enabled || e4.skip.add(34675);
  }
  traverseTiffDependencyTree() {
    let { ifd0: e4, exif: t4, gps: s4, interop: i4 } = this;
    i4.needed && (t4.deps.add(40965), e4.deps.add(40965)), t4.needed && e4.deps.add(34665), s4.needed && e4.deps.add(34853), this.tiff.enabled = P2.some(((e5) => true === this[e5].enabled)) || this.makerNote || this.userComment;
    for (let e5 of P2) this[e5].finalizeFilters();
  }
  get onlyTiff() {
    return !T3.map(((e4) => this[e4].enabled)).some(((e4) => true === e4)) && this.tiff.enabled;
  }
  checkLoadedPlugins() {
    for (let e4 of z3) this[e4].enabled && !y3.has(e4) && p3("segment parser", e4);
  }
};
function K2(e4, t4) {
  let s4, i4, n3, r4, a4 = [];
  for (n3 of t4) {
    for (r4 of (s4 = B3.get(n3), i4 = [], s4)) (e4.includes(r4[0]) || e4.includes(r4[1])) && i4.push(r4[0]);
    i4.length && a4.push([n3, i4]);
  }
  return a4;
}
function W2(e4, t4) {
  return void 0 !== e4 ? e4 : void 0 !== t4 ? t4 : void 0;
}
function X(e4, t4) {
  for (let s4 of t4) e4.add(s4);
}
e3(R2, "default", N2);
var H2 = class {
  constructor(t4) {
    e3(this, "parsers", {}), e3(this, "output", {}), e3(this, "errors", []), e3(this, "pushToErrors", ((e4) => this.errors.push(e4))), this.options = R2.useCached(t4);
  }
  async read(e4) {
    this.file = await (function(e5, t4) {
      return "string" == typeof e5 ? k3(e5, t4) : s3 && !i3 && e5 instanceof HTMLImageElement ? k3(e5.src, t4) : e5 instanceof Uint8Array || e5 instanceof ArrayBuffer || e5 instanceof DataView ? new c3(e5) : s3 && e5 instanceof Blob ? O2(e5, t4, "blob", A3) : void l3("Invalid input argument");
    })(e4, this.options);
  }
  setup() {
    if (this.fileParser) return;
    let { file: e4 } = this, t4 = e4.getUint16(0);
    for (let [s4, i4] of m3) if (i4.canHandle(e4, t4)) return this.fileParser = new i4(this.options, this.file, this.parsers), e4[s4] = true;
    this.file.close && this.file.close(), l3("Unknown file format");
  }
  async parse() {
    let { output: e4, errors: t4 } = this;
    return this.setup(), this.options.silentErrors ? (await this.executeParsers().catch(this.pushToErrors), t4.push(...this.fileParser.errors)) : await this.executeParsers(), this.file.close && this.file.close(), this.options.silentErrors && t4.length > 0 && (e4.errors = t4), f4(s4 = e4) ? void 0 : s4;
    var s4;
  }
  async executeParsers() {
    let { output: e4 } = this;
    await this.fileParser.parse();
    let t4 = Object.values(this.parsers).map((async (t5) => {
      let s4 = await t5.parse();
      t5.assignToOutput(e4, s4);
    }));
    this.options.silentErrors && (t4 = t4.map(((e5) => e5.catch(this.pushToErrors)))), await Promise.all(t4);
  }
  async extractThumbnail() {
    this.setup();
    let { options: e4, file: t4 } = this, s4 = y3.get("tiff", e4);
    var i4;
    if (t4.tiff ? i4 = { start: 0, type: "tiff" } : t4.jpeg && (i4 = await this.fileParser.getOrFindSegment("tiff")), void 0 === i4) return;
    let n3 = await this.fileParser.ensureSegmentChunk(i4), r4 = this.parsers.tiff = new s4(n3, e4, t4), a4 = await r4.extractThumbnail();
    return t4.close && t4.close(), a4;
  }
};
async function Y(e4, t4) {
  let s4 = new H2(t4);
  return await s4.read(e4), s4.parse();
}
var G2 = Object.freeze({ __proto__: null, parse: Y, Exifr: H2, fileParsers: m3, segmentParsers: y3, fileReaders: b2, tagKeys: B3, tagValues: V2, tagRevivers: I2, createDictionary: x2, extendDictionary: C3, fetchUrlAsArrayBuffer: S2, readBlobAsArrayBuffer: A3, chunkedProps: L2, otherSegments: T3, segments: z3, tiffBlocks: P2, segmentsAndBlocks: F2, tiffExtractables: j3, inheritables: E2, allFormatters: M2, Options: R2 });
var J2 = class {
  static findPosition(e4, t4) {
    let s4 = e4.getUint16(t4 + 2) + 2, i4 = "function" == typeof this.headerLength ? this.headerLength(e4, t4, s4) : this.headerLength, n3 = t4 + i4, r4 = s4 - i4;
    return { offset: t4, length: s4, headerLength: i4, start: n3, size: r4, end: n3 + r4 };
  }
  static parse(e4, t4 = {}) {
    return new this(e4, new R2({ [this.type]: t4 }), e4).parse();
  }
  normalizeInput(e4) {
    return e4 instanceof c3 ? e4 : new c3(e4);
  }
  constructor(t4, s4 = {}, i4) {
    e3(this, "errors", []), e3(this, "raw", /* @__PURE__ */ new Map()), e3(this, "handleError", ((e4) => {
      if (!this.options.silentErrors) throw e4;
      this.errors.push(e4.message);
    })), this.chunk = this.normalizeInput(t4), this.file = i4, this.type = this.constructor.type, this.globalOptions = this.options = s4, this.localOptions = s4[this.type], this.canTranslate = this.localOptions && this.localOptions.translate;
  }
  translate() {
    this.canTranslate && (this.translated = this.translateBlock(this.raw, this.type));
  }
  get output() {
    return this.translated ? this.translated : this.raw ? Object.fromEntries(this.raw) : void 0;
  }
  translateBlock(e4, t4) {
    let s4 = I2.get(t4), i4 = V2.get(t4), n3 = B3.get(t4), r4 = this.options[t4], a4 = r4.reviveValues && !!s4, h4 = r4.translateValues && !!i4, f5 = r4.translateKeys && !!n3, l4 = {};
    for (let [t5, r5] of e4) a4 && s4.has(t5) ? r5 = s4.get(t5)(r5) : h4 && i4.has(t5) && (r5 = this.translateValue(r5, i4.get(t5))), f5 && n3.has(t5) && (t5 = n3.get(t5) || t5), l4[t5] = r5;
    return l4;
  }
  translateValue(e4, t4) {
    return t4[e4] || t4.DEFAULT || e4;
  }
  assignToOutput(e4, t4) {
    this.assignObjectToOutput(e4, this.constructor.type, t4);
  }
  assignObjectToOutput(e4, t4, s4) {
    if (this.globalOptions.mergeOutput) return Object.assign(e4, s4);
    e4[t4] ? Object.assign(e4[t4], s4) : e4[t4] = s4;
  }
};
e3(J2, "headerLength", 4), e3(J2, "type", void 0), e3(J2, "multiSegment", false), e3(J2, "canHandle", (() => false));
function q3(e4) {
  return 192 === e4 || 194 === e4 || 196 === e4 || 219 === e4 || 221 === e4 || 218 === e4 || 254 === e4;
}
function Q2(e4) {
  return e4 >= 224 && e4 <= 239;
}
function Z(e4, t4, s4) {
  for (let [i4, n3] of y3) if (n3.canHandle(e4, t4, s4)) return i4;
}
var ee2 = class extends class {
  constructor(t4, s4, i4) {
    e3(this, "errors", []), e3(this, "ensureSegmentChunk", (async (e4) => {
      let t5 = e4.start, s5 = e4.size || 65536;
      if (this.file.chunked) if (this.file.available(t5, s5)) e4.chunk = this.file.subarray(t5, s5);
      else try {
        e4.chunk = await this.file.readChunk(t5, s5);
      } catch (t6) {
        l3(`Couldn't read segment: ${JSON.stringify(e4)}. ${t6.message}`);
      }
      else this.file.byteLength > t5 + s5 ? e4.chunk = this.file.subarray(t5, s5) : void 0 === e4.size ? e4.chunk = this.file.subarray(t5) : l3("Segment unreachable: " + JSON.stringify(e4));
      return e4.chunk;
    })), this.extendOptions && this.extendOptions(t4), this.options = t4, this.file = s4, this.parsers = i4;
  }
  injectSegment(e4, t4) {
    this.options[e4].enabled && this.createParser(e4, t4);
  }
  createParser(e4, t4) {
    let s4 = new (y3.get(e4))(t4, this.options, this.file);
    return this.parsers[e4] = s4;
  }
  createParsers(e4) {
    for (let t4 of e4) {
      let { type: e5, chunk: s4 } = t4, i4 = this.options[e5];
      if (i4 && i4.enabled) {
        let t5 = this.parsers[e5];
        t5 && t5.append || t5 || this.createParser(e5, s4);
      }
    }
  }
  async readSegments(e4) {
    let t4 = e4.map(this.ensureSegmentChunk);
    await Promise.all(t4);
  }
} {
  constructor(...t4) {
    super(...t4), e3(this, "appSegments", []), e3(this, "jpegSegments", []), e3(this, "unknownSegments", []);
  }
  static canHandle(e4, t4) {
    return 65496 === t4;
  }
  async parse() {
    await this.findAppSegments(), await this.readSegments(this.appSegments), this.mergeMultiSegments(), this.createParsers(this.mergedAppSegments || this.appSegments);
  }
  setupSegmentFinderArgs(e4) {
    true === e4 ? (this.findAll = true, this.wanted = new Set(y3.keyList())) : (e4 = void 0 === e4 ? y3.keyList().filter(((e5) => this.options[e5].enabled)) : e4.filter(((e5) => this.options[e5].enabled && y3.has(e5))), this.findAll = false, this.remaining = new Set(e4), this.wanted = new Set(e4)), this.unfinishedMultiSegment = false;
  }
  async findAppSegments(e4 = 0, t4) {
    this.setupSegmentFinderArgs(t4);
    let { file: s4, findAll: i4, wanted: n3, remaining: r4 } = this;
    if (!i4 && this.file.chunked && (i4 = Array.from(n3).some(((e5) => {
      let t5 = y3.get(e5), s5 = this.options[e5];
      return t5.multiSegment && s5.multiSegment;
    })), i4 && await this.file.readWhole()), e4 = this.findAppSegmentsInRange(e4, s4.byteLength), !this.options.onlyTiff && s4.chunked) {
      let t5 = false;
      for (; r4.size > 0 && !t5 && (s4.canReadNextChunk || this.unfinishedMultiSegment); ) {
        let { nextChunkOffset: i5 } = s4, n4 = this.appSegments.some(((e5) => !this.file.available(e5.offset || e5.start, e5.length || e5.size)));
        if (t5 = e4 > i5 && !n4 ? !await s4.readNextChunk(e4) : !await s4.readNextChunk(i5), void 0 === (e4 = this.findAppSegmentsInRange(e4, s4.byteLength))) return;
      }
    }
  }
  findAppSegmentsInRange(e4, t4) {
    t4 -= 2;
    let s4, i4, n3, r4, a4, h4, { file: f5, findAll: l4, wanted: o4, remaining: u5, options: d4 } = this;
    for (; e4 < t4; e4++) if (255 === f5.getUint8(e4)) {
      if (s4 = f5.getUint8(e4 + 1), Q2(s4)) {
        if (i4 = f5.getUint16(e4 + 2), n3 = Z(f5, e4, i4), n3 && o4.has(n3) && (r4 = y3.get(n3), a4 = r4.findPosition(f5, e4), h4 = d4[n3], a4.type = n3, this.appSegments.push(a4), !l4 && (r4.multiSegment && h4.multiSegment ? (this.unfinishedMultiSegment = a4.chunkNumber < a4.chunkCount, this.unfinishedMultiSegment || u5.delete(n3)) : u5.delete(n3), 0 === u5.size))) break;
        d4.recordUnknownSegments && (a4 = J2.findPosition(f5, e4), a4.marker = s4, this.unknownSegments.push(a4)), e4 += i4 + 1;
      } else if (q3(s4)) {
        if (i4 = f5.getUint16(e4 + 2), 218 === s4 && false !== d4.stopAfterSos) return;
        d4.recordJpegSegments && this.jpegSegments.push({ offset: e4, length: i4, marker: s4 }), e4 += i4 + 1;
      }
    }
    return e4;
  }
  mergeMultiSegments() {
    if (!this.appSegments.some(((e5) => e5.multiSegment))) return;
    let e4 = (function(e5, t4) {
      let s4, i4, n3, r4 = /* @__PURE__ */ new Map();
      for (let a4 = 0; a4 < e5.length; a4++) s4 = e5[a4], i4 = s4[t4], r4.has(i4) ? n3 = r4.get(i4) : r4.set(i4, n3 = []), n3.push(s4);
      return Array.from(r4);
    })(this.appSegments, "type");
    this.mergedAppSegments = e4.map((([e5, t4]) => {
      let s4 = y3.get(e5, this.options);
      if (s4.handleMultiSegments) {
        return { type: e5, chunk: s4.handleMultiSegments(t4) };
      }
      return t4[0];
    }));
  }
  getSegment(e4) {
    return this.appSegments.find(((t4) => t4.type === e4));
  }
  async getOrFindSegment(e4) {
    let t4 = this.getSegment(e4);
    return void 0 === t4 && (await this.findAppSegments(0, [e4]), t4 = this.getSegment(e4)), t4;
  }
};
e3(ee2, "type", "jpeg"), m3.set("jpeg", ee2);
var te = [void 0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];
var se = class extends J2 {
  parseHeader() {
    var e4 = this.chunk.getUint16();
    18761 === e4 ? this.le = true : 19789 === e4 && (this.le = false), this.chunk.le = this.le, this.headerParsed = true;
  }
  parseTags(e4, t4, s4 = /* @__PURE__ */ new Map()) {
    let { pick: i4, skip: n3 } = this.options[t4];
    i4 = new Set(i4);
    let r4 = i4.size > 0, a4 = 0 === n3.size, h4 = this.chunk.getUint16(e4);
    e4 += 2;
    for (let f5 = 0; f5 < h4; f5++) {
      let h5 = this.chunk.getUint16(e4);
      if (r4) {
        if (i4.has(h5) && (s4.set(h5, this.parseTag(e4, h5, t4)), i4.delete(h5), 0 === i4.size)) break;
      } else !a4 && n3.has(h5) || s4.set(h5, this.parseTag(e4, h5, t4));
      e4 += 12;
    }
    return s4;
  }
  parseTag(e4, t4, s4) {
    let { chunk: i4 } = this, n3 = i4.getUint16(e4 + 2), r4 = i4.getUint32(e4 + 4), a4 = te[n3];
    if (a4 * r4 <= 4 ? e4 += 8 : e4 = i4.getUint32(e4 + 8), (n3 < 1 || n3 > 13) && l3(`Invalid TIFF value type. block: ${s4.toUpperCase()}, tag: ${t4.toString(16)}, type: ${n3}, offset ${e4}`), e4 > i4.byteLength && l3(`Invalid TIFF value offset. block: ${s4.toUpperCase()}, tag: ${t4.toString(16)}, type: ${n3}, offset ${e4} is outside of chunk size ${i4.byteLength}`), 1 === n3) return i4.getUint8Array(e4, r4);
    if (2 === n3) return "" === (h4 = (function(e5) {
      for (; e5.endsWith("\0"); ) e5 = e5.slice(0, -1);
      return e5;
    })(h4 = i4.getString(e4, r4)).trim()) ? void 0 : h4;
    var h4;
    if (7 === n3) return i4.getUint8Array(e4, r4);
    if (1 === r4) return this.parseTagValue(n3, e4);
    {
      let t5 = new ((function(e5) {
        switch (e5) {
          case 1:
            return Uint8Array;
          case 3:
            return Uint16Array;
          case 4:
            return Uint32Array;
          case 5:
            return Array;
          case 6:
            return Int8Array;
          case 8:
            return Int16Array;
          case 9:
            return Int32Array;
          case 10:
            return Array;
          case 11:
            return Float32Array;
          case 12:
            return Float64Array;
          default:
            return Array;
        }
      })(n3))(r4), s5 = a4;
      for (let i5 = 0; i5 < r4; i5++) t5[i5] = this.parseTagValue(n3, e4), e4 += s5;
      return t5;
    }
  }
  parseTagValue(e4, t4) {
    let { chunk: s4 } = this;
    switch (e4) {
      case 1:
        return s4.getUint8(t4);
      case 3:
        return s4.getUint16(t4);
      case 4:
        return s4.getUint32(t4);
      case 5:
        return s4.getUint32(t4) / s4.getUint32(t4 + 4);
      case 6:
        return s4.getInt8(t4);
      case 8:
        return s4.getInt16(t4);
      case 9:
        return s4.getInt32(t4);
      case 10:
        return s4.getInt32(t4) / s4.getInt32(t4 + 4);
      case 11:
        return s4.getFloat(t4);
      case 12:
        return s4.getDouble(t4);
      case 13:
        return s4.getUint32(t4);
      default:
        l3(`Invalid tiff type ${e4}`);
    }
  }
};
var ie = class extends se {
  static canHandle(e4, t4) {
    return 225 === e4.getUint8(t4 + 1) && 1165519206 === e4.getUint32(t4 + 4) && 0 === e4.getUint16(t4 + 8);
  }
  async parse() {
    this.parseHeader();
    let { options: e4 } = this;
    return e4.ifd0.enabled && await this.parseIfd0Block(), e4.exif.enabled && await this.safeParse("parseExifBlock"), e4.gps.enabled && await this.safeParse("parseGpsBlock"), e4.interop.enabled && await this.safeParse("parseInteropBlock"), e4.ifd1.enabled && await this.safeParse("parseThumbnailBlock"), this.createOutput();
  }
  safeParse(e4) {
    let t4 = this[e4]();
    return void 0 !== t4.catch && (t4 = t4.catch(this.handleError)), t4;
  }
  findIfd0Offset() {
    void 0 === this.ifd0Offset && (this.ifd0Offset = this.chunk.getUint32(4));
  }
  findIfd1Offset() {
    if (void 0 === this.ifd1Offset) {
      this.findIfd0Offset();
      let e4 = this.chunk.getUint16(this.ifd0Offset), t4 = this.ifd0Offset + 2 + 12 * e4;
      this.ifd1Offset = this.chunk.getUint32(t4);
    }
  }
  parseBlock(e4, t4) {
    let s4 = /* @__PURE__ */ new Map();
    return this[t4] = s4, this.parseTags(e4, t4, s4), s4;
  }
  async parseIfd0Block() {
    if (this.ifd0) return;
    let { file: e4 } = this;
    this.findIfd0Offset(), this.ifd0Offset < 8 && l3("Malformed EXIF data"), !e4.chunked && this.ifd0Offset > e4.byteLength && l3(`IFD0 offset points to outside of file.
this.ifd0Offset: ${this.ifd0Offset}, file.byteLength: ${e4.byteLength}`), e4.tiff && await e4.ensureChunk(this.ifd0Offset, o3(this.options));
    let t4 = this.parseBlock(this.ifd0Offset, "ifd0");
    return 0 !== t4.size ? (this.exifOffset = t4.get(34665), this.interopOffset = t4.get(40965), this.gpsOffset = t4.get(34853), this.xmp = t4.get(700), this.iptc = t4.get(33723), this.icc = t4.get(34675), this.options.sanitize && (t4.delete(34665), t4.delete(40965), t4.delete(34853), t4.delete(700), t4.delete(33723), t4.delete(34675)), t4) : void 0;
  }
  async parseExifBlock() {
    if (this.exif) return;
    if (this.ifd0 || await this.parseIfd0Block(), void 0 === this.exifOffset) return;
    this.file.tiff && await this.file.ensureChunk(this.exifOffset, o3(this.options));
    let e4 = this.parseBlock(this.exifOffset, "exif");
    return this.interopOffset || (this.interopOffset = e4.get(40965)), this.makerNote = e4.get(37500), this.userComment = e4.get(37510), this.options.sanitize && (e4.delete(40965), e4.delete(37500), e4.delete(37510)), this.unpack(e4, 41728), this.unpack(e4, 41729), e4;
  }
  unpack(e4, t4) {
    let s4 = e4.get(t4);
    s4 && 1 === s4.length && e4.set(t4, s4[0]);
  }
  async parseGpsBlock() {
    if (this.gps) return;
    if (this.ifd0 || await this.parseIfd0Block(), void 0 === this.gpsOffset) return;
    let e4 = this.parseBlock(this.gpsOffset, "gps");
    return e4 && e4.has(2) && e4.has(4) && (e4.set("latitude", ne(...e4.get(2), e4.get(1))), e4.set("longitude", ne(...e4.get(4), e4.get(3)))), e4;
  }
  async parseInteropBlock() {
    if (!this.interop && (this.ifd0 || await this.parseIfd0Block(), void 0 !== this.interopOffset || this.exif || await this.parseExifBlock(), void 0 !== this.interopOffset)) return this.parseBlock(this.interopOffset, "interop");
  }
  async parseThumbnailBlock(e4 = false) {
    if (!this.ifd1 && !this.ifd1Parsed && (!this.options.mergeOutput || e4)) return this.findIfd1Offset(), this.ifd1Offset > 0 && (this.parseBlock(this.ifd1Offset, "ifd1"), this.ifd1Parsed = true), this.ifd1;
  }
  async extractThumbnail() {
    if (this.headerParsed || this.parseHeader(), this.ifd1Parsed || await this.parseThumbnailBlock(true), void 0 === this.ifd1) return;
    let e4 = this.ifd1.get(513), t4 = this.ifd1.get(514);
    return this.chunk.getUint8Array(e4, t4);
  }
  get image() {
    return this.ifd0;
  }
  get thumbnail() {
    return this.ifd1;
  }
  createOutput() {
    let e4, t4, s4, i4 = {};
    for (t4 of P2) if (e4 = this[t4], !f4(e4)) if (s4 = this.canTranslate ? this.translateBlock(e4, t4) : Object.fromEntries(e4), this.options.mergeOutput) {
      if ("ifd1" === t4) continue;
      Object.assign(i4, s4);
    } else i4[t4] = s4;
    return this.makerNote && (i4.makerNote = this.makerNote), this.userComment && (i4.userComment = this.userComment), i4;
  }
  assignToOutput(e4, t4) {
    if (this.globalOptions.mergeOutput) Object.assign(e4, t4);
    else for (let [s4, i4] of Object.entries(t4)) this.assignObjectToOutput(e4, s4, i4);
  }
};
function ne(e4, t4, s4, i4) {
  var n3 = e4 + t4 / 60 + s4 / 3600;
  return "S" !== i4 && "W" !== i4 || (n3 *= -1), n3;
}
e3(ie, "type", "tiff"), e3(ie, "headerLength", 10), y3.set("tiff", ie);
var re = Object.freeze({ __proto__: null, default: G2, Exifr: H2, fileParsers: m3, segmentParsers: y3, fileReaders: b2, tagKeys: B3, tagValues: V2, tagRevivers: I2, createDictionary: x2, extendDictionary: C3, fetchUrlAsArrayBuffer: S2, readBlobAsArrayBuffer: A3, chunkedProps: L2, otherSegments: T3, segments: z3, tiffBlocks: P2, segmentsAndBlocks: F2, tiffExtractables: j3, inheritables: E2, allFormatters: M2, Options: R2, parse: Y });
var ae = { ifd0: false, ifd1: false, exif: false, gps: false, interop: false, sanitize: false, reviveValues: true, translateKeys: false, translateValues: false, mergeOutput: false };
var he = Object.assign({}, ae, { firstChunkSize: 4e4, gps: [1, 2, 3, 4] });
var le = Object.assign({}, ae, { tiff: false, ifd1: true, mergeOutput: false });
var de = Object.assign({}, ae, { firstChunkSize: 4e4, ifd0: [274] });
async function ce(e4) {
  let t4 = new H2(de);
  await t4.read(e4);
  let s4 = await t4.parse();
  if (s4 && s4.ifd0) return s4.ifd0[274];
}
var pe = Object.freeze({ 1: { dimensionSwapped: false, scaleX: 1, scaleY: 1, deg: 0, rad: 0 }, 2: { dimensionSwapped: false, scaleX: -1, scaleY: 1, deg: 0, rad: 0 }, 3: { dimensionSwapped: false, scaleX: 1, scaleY: 1, deg: 180, rad: 180 * Math.PI / 180 }, 4: { dimensionSwapped: false, scaleX: -1, scaleY: 1, deg: 180, rad: 180 * Math.PI / 180 }, 5: { dimensionSwapped: true, scaleX: 1, scaleY: -1, deg: 90, rad: 90 * Math.PI / 180 }, 6: { dimensionSwapped: true, scaleX: 1, scaleY: 1, deg: 90, rad: 90 * Math.PI / 180 }, 7: { dimensionSwapped: true, scaleX: 1, scaleY: -1, deg: 270, rad: 270 * Math.PI / 180 }, 8: { dimensionSwapped: true, scaleX: 1, scaleY: 1, deg: 270, rad: 270 * Math.PI / 180 } });
var ge = true;
var me = true;
if ("object" == typeof navigator) {
  let e4 = navigator.userAgent;
  if (e4.includes("iPad") || e4.includes("iPhone")) {
    let t4 = e4.match(/OS (\d+)_(\d+)/);
    if (t4) {
      let [, e5, s4] = t4, i4 = Number(e5) + 0.1 * Number(s4);
      ge = i4 < 13.4, me = false;
    }
  } else if (e4.includes("OS X 10")) {
    let [, t4] = e4.match(/OS X 10[_.](\d+)/);
    ge = me = Number(t4) < 15;
  }
  if (e4.includes("Chrome/")) {
    let [, t4] = e4.match(/Chrome\/(\d+)/);
    ge = me = Number(t4) < 81;
  } else if (e4.includes("Firefox/")) {
    let [, t4] = e4.match(/Firefox\/(\d+)/);
    ge = me = Number(t4) < 77;
  }
}
async function ye(e4) {
  let t4 = await ce(e4);
  return Object.assign({ canvas: ge, css: me }, pe[t4]);
}
var be = class extends c3 {
  constructor(...t4) {
    super(...t4), e3(this, "ranges", new we()), 0 !== this.byteLength && this.ranges.add(0, this.byteLength);
  }
  _tryExtend(e4, t4, s4) {
    if (0 === e4 && 0 === this.byteLength && s4) {
      let e5 = new DataView(s4.buffer || s4, s4.byteOffset, s4.byteLength);
      this._swapDataView(e5);
    } else {
      let s5 = e4 + t4;
      if (s5 > this.byteLength) {
        let { dataView: e5 } = this._extend(s5);
        this._swapDataView(e5);
      }
    }
  }
  _extend(e4) {
    let t4;
    t4 = a3 ? r3.allocUnsafe(e4) : new Uint8Array(e4);
    let s4 = new DataView(t4.buffer, t4.byteOffset, t4.byteLength);
    return t4.set(new Uint8Array(this.buffer, this.byteOffset, this.byteLength), 0), { uintView: t4, dataView: s4 };
  }
  subarray(e4, t4, s4 = false) {
    return t4 = t4 || this._lengthToEnd(e4), s4 && this._tryExtend(e4, t4), this.ranges.add(e4, t4), super.subarray(e4, t4);
  }
  set(e4, t4, s4 = false) {
    s4 && this._tryExtend(t4, e4.byteLength, e4);
    let i4 = super.set(e4, t4);
    return this.ranges.add(t4, i4.byteLength), i4;
  }
  async ensureChunk(e4, t4) {
    this.chunked && (this.ranges.available(e4, t4) || await this.readChunk(e4, t4));
  }
  available(e4, t4) {
    return this.ranges.available(e4, t4);
  }
};
var we = class {
  constructor() {
    e3(this, "list", []);
  }
  get length() {
    return this.list.length;
  }
  add(e4, t4, s4 = 0) {
    let i4 = e4 + t4, n3 = this.list.filter(((t5) => ke(e4, t5.offset, i4) || ke(e4, t5.end, i4)));
    if (n3.length > 0) {
      e4 = Math.min(e4, ...n3.map(((e5) => e5.offset))), i4 = Math.max(i4, ...n3.map(((e5) => e5.end))), t4 = i4 - e4;
      let s5 = n3.shift();
      s5.offset = e4, s5.length = t4, s5.end = i4, this.list = this.list.filter(((e5) => !n3.includes(e5)));
    } else this.list.push({ offset: e4, length: t4, end: i4 });
  }
  available(e4, t4) {
    let s4 = e4 + t4;
    return this.list.some(((t5) => t5.offset <= e4 && s4 <= t5.end));
  }
};
function ke(e4, t4, s4) {
  return e4 <= t4 && t4 <= s4;
}
var Oe = class extends be {
  constructor(t4, s4) {
    super(0), e3(this, "chunksRead", 0), this.input = t4, this.options = s4;
  }
  async readWhole() {
    this.chunked = false, await this.readChunk(this.nextChunkOffset);
  }
  async readChunked() {
    this.chunked = true, await this.readChunk(0, this.options.firstChunkSize);
  }
  async readNextChunk(e4 = this.nextChunkOffset) {
    if (this.fullyRead) return this.chunksRead++, false;
    let t4 = this.options.chunkSize, s4 = await this.readChunk(e4, t4);
    return !!s4 && s4.byteLength === t4;
  }
  async readChunk(e4, t4) {
    if (this.chunksRead++, 0 !== (t4 = this.safeWrapAddress(e4, t4))) return this._readChunk(e4, t4);
  }
  safeWrapAddress(e4, t4) {
    return void 0 !== this.size && e4 + t4 > this.size ? Math.max(0, this.size - e4) : t4;
  }
  get nextChunkOffset() {
    if (0 !== this.ranges.list.length) return this.ranges.list[0].length;
  }
  get canReadNextChunk() {
    return this.chunksRead < this.options.chunkLimit;
  }
  get fullyRead() {
    return void 0 !== this.size && this.nextChunkOffset === this.size;
  }
  read() {
    return this.options.chunked ? this.readChunked() : this.readWhole();
  }
  close() {
  }
};
b2.set("blob", class extends Oe {
  async readWhole() {
    this.chunked = false;
    let e4 = await A3(this.input);
    this._swapArrayBuffer(e4);
  }
  readChunked() {
    return this.chunked = true, this.size = this.input.size, super.readChunked();
  }
  async _readChunk(e4, t4) {
    let s4 = t4 ? e4 + t4 : void 0, i4 = this.input.slice(e4, s4), n3 = await A3(i4);
    return this.set(n3, e4, true);
  }
});

// node_modules/uppy6-dashboard/node_modules/@uppy/thumbnail-generator/package.json
var package_default2 = {
  name: "@uppy/thumbnail-generator",
  description: "Uppy plugin that generates small previews of images to show on your upload UI.",
  version: "6.0.1",
  license: "MIT",
  type: "module",
  sideEffects: false,
  scripts: {
    build: "tsc --build tsconfig.build.json",
    typecheck: "tsc --build",
    test: "vitest run --silent='passed-only'"
  },
  keywords: [
    "file uploader",
    "uppy",
    "uppy-plugin",
    "thumbnail",
    "preview",
    "resize"
  ],
  homepage: "https://uppy.io",
  bugs: {
    url: "https://github.com/transloadit/uppy/issues"
  },
  repository: {
    type: "git",
    url: "git+https://github.com/transloadit/uppy.git"
  },
  files: [
    "src",
    "lib",
    "dist",
    "CHANGELOG.md"
  ],
  exports: {
    ".": "./lib/index.js",
    "./package.json": "./package.json"
  },
  dependencies: {
    exifr: "^7.1.3"
  },
  devDependencies: {
    "@uppy-dev/tsconfig": "^0.0.0",
    "@vitest/browser-playwright": "^4.1.11",
    "namespace-emitter": "2.0.1",
    playwright: "1.61.1",
    typescript: "^6.0.3",
    vitest: "^4.1.11"
  },
  peerDependencies: {
    "@uppy/core": "^6.2.0"
  }
};

// node_modules/uppy6-dashboard/node_modules/@uppy/thumbnail-generator/lib/locale.js
var locale_default2 = {
  strings: {
    generatingThumbnails: "Generating thumbnails..."
  }
};

// node_modules/uppy6-dashboard/node_modules/@uppy/thumbnail-generator/lib/index.js
function canvasToBlob(canvas, type, quality) {
  try {
    canvas.getContext("2d").getImageData(0, 0, 1, 1);
  } catch (err) {
    if (typeof err === "object" && err != null && "code" in err && err.code === 18) {
      return Promise.reject(new Error("cannot read image, probably an svg with external resources"));
    }
  }
  if (canvas.toBlob) {
    return new Promise((resolve) => {
      canvas.toBlob(resolve, type, quality);
    }).then((blob) => {
      if (blob === null) {
        throw new Error("cannot read image, probably an svg with external resources");
      }
      return blob;
    });
  }
  return Promise.resolve().then(() => {
    return dataURItoBlob_default(canvas.toDataURL(type, quality), {});
  }).then((blob) => {
    if (blob === null) {
      throw new Error("could not extract blob, probably an old browser");
    }
    return blob;
  });
}
function rotateImage(image, translate) {
  let w4 = image.width;
  let h4 = image.height;
  if (translate.deg === 90 || translate.deg === 270) {
    w4 = image.height;
    h4 = image.width;
  }
  const canvas = document.createElement("canvas");
  canvas.width = w4;
  canvas.height = h4;
  const context = canvas.getContext("2d");
  context.translate(w4 / 2, h4 / 2);
  if (translate.canvas) {
    context.rotate(translate.rad);
    context.scale(translate.scaleX, translate.scaleY);
  }
  context.drawImage(image, -image.width / 2, -image.height / 2, image.width, image.height);
  return canvas;
}
function protect(image) {
  const ratio = image.width / image.height;
  const maxSquare = 5e6;
  const maxSize = 4096;
  let maxW = Math.floor(Math.sqrt(maxSquare * ratio));
  let maxH = Math.floor(maxSquare / Math.sqrt(maxSquare * ratio));
  if (maxW > maxSize) {
    maxW = maxSize;
    maxH = Math.round(maxW / ratio);
  }
  if (maxH > maxSize) {
    maxH = maxSize;
    maxW = Math.round(ratio * maxH);
  }
  if (image.width > maxW) {
    const canvas = document.createElement("canvas");
    canvas.width = maxW;
    canvas.height = maxH;
    canvas.getContext("2d").drawImage(image, 0, 0, maxW, maxH);
    return canvas;
  }
  return image;
}
var defaultOptions2 = {
  thumbnailWidth: null,
  thumbnailHeight: null,
  thumbnailType: "image/jpeg",
  waitForThumbnailsBeforeUpload: false,
  lazy: false
};
var ThumbnailGenerator = class extends UIPlugin_default {
  static VERSION = package_default2.version;
  queue;
  queueProcessing;
  defaultThumbnailDimension;
  thumbnailType;
  constructor(uppy2, opts) {
    super(uppy2, { ...defaultOptions2, ...opts });
    this.type = "modifier";
    this.id = this.opts.id || "ThumbnailGenerator";
    this.title = "Thumbnail Generator";
    this.queue = [];
    this.queueProcessing = false;
    this.defaultThumbnailDimension = 200;
    this.thumbnailType = this.opts.thumbnailType;
    this.defaultLocale = locale_default2;
    this.i18nInit();
    if (this.opts.lazy && this.opts.waitForThumbnailsBeforeUpload) {
      throw new Error("ThumbnailGenerator: The `lazy` and `waitForThumbnailsBeforeUpload` options are mutually exclusive. Please ensure at most one of them is set to `true`.");
    }
  }
  createThumbnail(file, targetWidth, targetHeight) {
    if (file.data == null)
      throw new Error("File data is empty");
    const originalUrl = URL.createObjectURL(file.data);
    const onload = new Promise((resolve, reject) => {
      const image = new Image();
      image.src = originalUrl;
      image.addEventListener("load", () => {
        URL.revokeObjectURL(originalUrl);
        resolve(image);
      });
      image.addEventListener("error", (event) => {
        URL.revokeObjectURL(originalUrl);
        reject(event.error || new Error("Could not create thumbnail"));
      });
    });
    const orientationPromise = ye(file.data).catch(() => 1);
    return Promise.all([onload, orientationPromise]).then(([image, orientation]) => {
      const dimensions = this.getProportionalDimensions(image, targetWidth, targetHeight, orientation.deg);
      const rotatedImage = rotateImage(image, orientation);
      const resizedImage = this.resizeImage(rotatedImage, dimensions.width, dimensions.height);
      return canvasToBlob(resizedImage, this.thumbnailType, 80);
    }).then((blob) => {
      return URL.createObjectURL(blob);
    });
  }
  /**
   * Get the new calculated dimensions for the given image and a target width
   * or height. If both width and height are given, only width is taken into
   * account. If neither width nor height are given, the default dimension
   * is used.
   */
  getProportionalDimensions(img, width, height, deg) {
    let aspect = img.width / img.height;
    if (deg === 90 || deg === 270) {
      aspect = img.height / img.width;
    }
    if (width != null) {
      let targetWidth = width;
      if (img.width < width)
        targetWidth = img.width;
      return {
        width: targetWidth,
        height: Math.round(targetWidth / aspect)
      };
    }
    if (height != null) {
      let targetHeight = height;
      if (img.height < height)
        targetHeight = img.height;
      return {
        width: Math.round(targetHeight * aspect),
        height: targetHeight
      };
    }
    return {
      width: this.defaultThumbnailDimension,
      height: Math.round(this.defaultThumbnailDimension / aspect)
    };
  }
  /**
   * Resize an image to the target `width` and `height`.
   *
   * Returns a Canvas with the resized image on it.
   */
  resizeImage(image, targetWidth, targetHeight) {
    let img = protect(image);
    let steps = Math.ceil(Math.log2(img.width / targetWidth));
    if (steps < 1) {
      steps = 1;
    }
    let sW = targetWidth * 2 ** (steps - 1);
    let sH = targetHeight * 2 ** (steps - 1);
    const x3 = 2;
    while (steps--) {
      const canvas = document.createElement("canvas");
      canvas.width = sW;
      canvas.height = sH;
      canvas.getContext("2d").drawImage(img, 0, 0, sW, sH);
      img = canvas;
      sW = Math.round(sW / x3);
      sH = Math.round(sH / x3);
    }
    return img;
  }
  /**
   * Set the preview URL for a file.
   */
  setPreviewURL(fileID, preview) {
    this.uppy.setFileState(fileID, { preview });
  }
  addToQueue(fileID) {
    this.queue.push(fileID);
    if (this.queueProcessing === false) {
      this.processQueue();
    }
  }
  processQueue() {
    this.queueProcessing = true;
    if (this.queue.length > 0) {
      const current = this.uppy.getFile(this.queue.shift());
      if (!current) {
        this.uppy.log("[ThumbnailGenerator] file was removed before a thumbnail could be generated, but not removed from the queue. This is probably a bug", "error");
        return Promise.resolve();
      }
      return this.requestThumbnail(current).catch(() => {
      }).then(() => this.processQueue());
    }
    this.queueProcessing = false;
    this.uppy.log("[ThumbnailGenerator] Emptied thumbnail queue");
    this.uppy.emit("thumbnail:all-generated");
    return Promise.resolve();
  }
  requestThumbnail(file) {
    if (isPreviewSupported(file.type) && !file.isRemote) {
      return this.createThumbnail(file, this.opts.thumbnailWidth, this.opts.thumbnailHeight).then((preview) => {
        this.setPreviewURL(file.id, preview);
        this.uppy.log(`[ThumbnailGenerator] Generated thumbnail for ${file.id}`);
        this.uppy.emit("thumbnail:generated", this.uppy.getFile(file.id), preview);
      }).catch((err) => {
        this.uppy.log(`[ThumbnailGenerator] Failed thumbnail for ${file.id}:`, "warning");
        this.uppy.log(err, "warning");
        this.uppy.emit("thumbnail:error", this.uppy.getFile(file.id), err);
      });
    }
    return Promise.resolve();
  }
  onFileAdded = (file) => {
    if (!file.preview && file.data && isPreviewSupported(file.type) && !file.isRemote) {
      this.addToQueue(file.id);
    }
  };
  /**
   * Cancel a lazy request for a thumbnail if the thumbnail has not yet been generated.
   */
  onCancelRequest = (file) => {
    const index = this.queue.indexOf(file.id);
    if (index !== -1) {
      this.queue.splice(index, 1);
    }
  };
  /**
   * Clean up the thumbnail for a file. Cancel lazy requests and free the thumbnail URL.
   */
  onFileRemoved = (file) => {
    const index = this.queue.indexOf(file.id);
    if (index !== -1) {
      this.queue.splice(index, 1);
    }
    if (file.preview && isObjectURL(file.preview)) {
      URL.revokeObjectURL(file.preview);
    }
  };
  onRestored = () => {
    const restoredFiles = this.uppy.getFiles().filter((file) => file.isRestored);
    restoredFiles.forEach((file) => {
      if (!file.preview || isObjectURL(file.preview)) {
        this.addToQueue(file.id);
      }
    });
  };
  onAllFilesRemoved = () => {
    this.queue = [];
  };
  waitUntilAllProcessed = (fileIDs) => {
    fileIDs.forEach((fileID) => {
      const file = this.uppy.getFile(fileID);
      this.uppy.emit("preprocess-progress", file, {
        mode: "indeterminate",
        message: this.i18n("generatingThumbnails")
      });
    });
    const emitPreprocessCompleteForAll = () => {
      fileIDs.forEach((fileID) => {
        const file = this.uppy.getFile(fileID);
        this.uppy.emit("preprocess-complete", file);
      });
    };
    return new Promise((resolve) => {
      if (this.queueProcessing) {
        this.uppy.once("thumbnail:all-generated", () => {
          emitPreprocessCompleteForAll();
          resolve();
        });
      } else {
        emitPreprocessCompleteForAll();
        resolve();
      }
    });
  };
  install() {
    this.uppy.on("file-removed", this.onFileRemoved);
    this.uppy.on("cancel-all", this.onAllFilesRemoved);
    if (this.opts.lazy) {
      this.uppy.on("thumbnail:request", this.onFileAdded);
      this.uppy.on("thumbnail:cancel", this.onCancelRequest);
    } else {
      this.uppy.on("thumbnail:request", this.onFileAdded);
      this.uppy.on("file-added", this.onFileAdded);
      this.uppy.on("restored", this.onRestored);
    }
    if (this.opts.waitForThumbnailsBeforeUpload) {
      this.uppy.addPreProcessor(this.waitUntilAllProcessed);
    }
  }
  uninstall() {
    this.uppy.off("file-removed", this.onFileRemoved);
    this.uppy.off("cancel-all", this.onAllFilesRemoved);
    if (this.opts.lazy) {
      this.uppy.off("thumbnail:request", this.onFileAdded);
      this.uppy.off("thumbnail:cancel", this.onCancelRequest);
    } else {
      this.uppy.off("thumbnail:request", this.onFileAdded);
      this.uppy.off("file-added", this.onFileAdded);
      this.uppy.off("restored", this.onRestored);
    }
    if (this.opts.waitForThumbnailsBeforeUpload) {
      this.uppy.removePreProcessor(this.waitUntilAllProcessed);
    }
  }
};

// node_modules/uppy6-dashboard/node_modules/nanoid/url-alphabet/index.js
var urlAlphabet2 = "57X6y3wQZNzYjJB2L_10pxbackgroundhimselfUTF-8DEMOGRAPHICSVqvt4KW9";

// node_modules/uppy6-dashboard/node_modules/nanoid/non-secure/index.js
var nanoid2 = (size = 21) => {
  let id = "";
  let i4 = size | 0;
  while (i4-- > 0) {
    id += urlAlphabet2[Math.random() * 64 | 0];
  }
  return id;
};

// node_modules/uppy6-dashboard/package.json
var package_default3 = {
  name: "@uppy/dashboard",
  description: "Universal UI plugin for Uppy.",
  version: "6.0.3",
  license: "MIT",
  style: "dist/style.min.css",
  type: "module",
  sideEffects: [
    "*.css"
  ],
  scripts: {
    build: "tsc --build tsconfig.build.json",
    "build:css": "sass --load-path=../../ src/style.scss dist/style.css && postcss dist/style.css -u cssnano --map -o dist/style.min.css",
    typecheck: "tsc --build",
    test: "vitest run --silent='passed-only'"
  },
  keywords: [
    "file uploader",
    "uppy",
    "uppy-plugin",
    "dashboard",
    "ui"
  ],
  homepage: "https://uppy.io",
  bugs: {
    url: "https://github.com/transloadit/uppy/issues"
  },
  repository: {
    type: "git",
    url: "git+https://github.com/transloadit/uppy.git"
  },
  files: [
    "src",
    "lib",
    "dist",
    "CHANGELOG.md"
  ],
  exports: {
    ".": "./lib/index.js",
    "./css/style.css": "./dist/style.css",
    "./css/style.min.css": "./dist/style.min.css",
    "./css/style.scss": "./src/style.scss",
    "./package.json": "./package.json"
  },
  dependencies: {
    "@transloadit/prettier-bytes": "^2.0.0",
    "@uppy/thumbnail-generator": "^6.0.1",
    classnames: "^2.5.1",
    lodash: "^4.18.1",
    nanoid: "^6.0.1",
    preact: "^10.29.2",
    "shallow-equal": "^3.1.0"
  },
  devDependencies: {
    "@uppy-dev/msw-setup": "^0.0.0",
    "@uppy-dev/tsconfig": "^0.0.0",
    "@uppy/core": "^6.3.1",
    "@uppy/dropbox": "^6.0.1",
    "@uppy/google-drive": "^6.0.2",
    "@uppy/url": "^6.0.2",
    "@uppy/webcam": "^6.0.3",
    "@vitest/browser-playwright": "^5.0.3",
    cssnano: "^8.0.1",
    msw: "^3.0.2",
    playwright: "1.64.0",
    postcss: "^8.5.23",
    "postcss-cli": "^11.0.1",
    sass: "^1.89.2",
    typescript: "^6.0.3",
    vitest: "^5.0.3"
  },
  peerDependencies: {
    "@uppy/core": "^6.3.1"
  }
};

// node_modules/uppy6-dashboard/lib/components/Dashboard.js
var import_classnames16 = __toESM(require_classnames(), 1);

// node_modules/uppy6-dashboard/lib/components/AddFiles.js
var AddFiles = class extends C {
  fileInput = null;
  folderInput = null;
  mobilePhotoFileInput = null;
  mobileVideoFileInput = null;
  triggerFileInputClick = () => {
    this.fileInput?.click();
  };
  triggerFolderInputClick = () => {
    this.folderInput?.click();
  };
  triggerVideoCameraInputClick = () => {
    this.mobileVideoFileInput?.click();
  };
  triggerPhotoCameraInputClick = () => {
    this.mobilePhotoFileInput?.click();
  };
  onFileInputChange = (event) => {
    this.props.handleInputChange(event);
    event.currentTarget.value = "";
  };
  renderHiddenInput = (isFolder, refCallback) => {
    return u2("input", {
      className: "uppy-Dashboard-input",
      hidden: true,
      "aria-hidden": "true",
      tabIndex: -1,
      // @ts-expect-error default types don't yet know about the `webkitdirectory` property
      webkitdirectory: isFolder,
      type: "file",
      name: "files[]",
      multiple: this.props.maxNumberOfFiles !== 1,
      onChange: this.onFileInputChange,
      accept: this.props.allowedFileTypes?.join(", "),
      ref: refCallback
    });
  };
  renderHiddenCameraInput = (type, nativeCameraFacingMode, refCallback) => {
    const typeToAccept = { photo: "image/*", video: "video/*" };
    const accept = typeToAccept[type];
    return u2("input", { className: "uppy-Dashboard-input", hidden: true, "aria-hidden": "true", tabIndex: -1, type: "file", name: `camera-${type}`, onChange: this.onFileInputChange, capture: nativeCameraFacingMode === "" ? "environment" : nativeCameraFacingMode, accept, ref: refCallback });
  };
  renderMyDeviceAcquirer = () => {
    const triggerMyDeviceInputClick = this.props.fileManagerSelectionType === "folders" ? this.triggerFolderInputClick : this.triggerFileInputClick;
    return u2("div", { className: "uppy-DashboardTab", role: "presentation", "data-uppy-acquirer-id": "MyDevice", children: u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-DashboardTab-btn", role: "tab", tabIndex: 0, "data-uppy-super-focusable": true, onClick: triggerMyDeviceInputClick, children: [u2("div", { className: "uppy-DashboardTab-inner", children: u2("svg", { className: "uppy-DashboardTab-iconMyDevice", "aria-hidden": "true", focusable: "false", width: "32", height: "32", viewBox: "0 0 32 32", children: u2("path", { d: "M8.45 22.087l-1.305-6.674h17.678l-1.572 6.674H8.45zm4.975-12.412l1.083 1.765a.823.823 0 00.715.386h7.951V13.5H8.587V9.675h4.838zM26.043 13.5h-1.195v-2.598c0-.463-.336-.75-.798-.75h-8.356l-1.082-1.766A.823.823 0 0013.897 8H7.728c-.462 0-.815.256-.815.718V13.5h-.956a.97.97 0 00-.746.37.972.972 0 00-.19.81l1.724 8.565c.095.44.484.755.933.755H24c.44 0 .824-.3.929-.727l2.043-8.568a.972.972 0 00-.176-.825.967.967 0 00-.753-.38z", fill: "currentcolor", "fill-rule": "evenodd" }) }) }), u2("div", { className: "uppy-DashboardTab-name", children: this.props.i18n("myDevice") })] }) });
  };
  renderPhotoCamera = () => {
    return u2("div", { className: "uppy-DashboardTab", role: "presentation", "data-uppy-acquirer-id": "MobilePhotoCamera", children: u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-DashboardTab-btn", role: "tab", tabIndex: 0, "data-uppy-super-focusable": true, onClick: this.triggerPhotoCameraInputClick, children: [u2("div", { className: "uppy-DashboardTab-inner", children: u2("svg", { "aria-hidden": "true", focusable: "false", width: "32", height: "32", viewBox: "0 0 32 32", children: u2("path", { d: "M23.5 9.5c1.417 0 2.5 1.083 2.5 2.5v9.167c0 1.416-1.083 2.5-2.5 2.5h-15c-1.417 0-2.5-1.084-2.5-2.5V12c0-1.417 1.083-2.5 2.5-2.5h2.917l1.416-2.167C13 7.167 13.25 7 13.5 7h5c.25 0 .5.167.667.333L20.583 9.5H23.5zM16 11.417a4.706 4.706 0 00-4.75 4.75 4.704 4.704 0 004.75 4.75 4.703 4.703 0 004.75-4.75c0-2.663-2.09-4.75-4.75-4.75zm0 7.825c-1.744 0-3.076-1.332-3.076-3.074 0-1.745 1.333-3.077 3.076-3.077 1.744 0 3.074 1.333 3.074 3.076s-1.33 3.075-3.074 3.075z", fill: "#02B383", "fill-rule": "nonzero" }) }) }), u2("div", { className: "uppy-DashboardTab-name", children: this.props.i18n("takePictureBtn") })] }) });
  };
  renderVideoCamera = () => {
    return u2("div", { className: "uppy-DashboardTab", role: "presentation", "data-uppy-acquirer-id": "MobileVideoCamera", children: u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-DashboardTab-btn", role: "tab", tabIndex: 0, "data-uppy-super-focusable": true, onClick: this.triggerVideoCameraInputClick, children: [u2("div", { className: "uppy-DashboardTab-inner", children: u2("svg", { "aria-hidden": "true", width: "32", height: "32", viewBox: "0 0 32 32", children: u2("path", { fill: "#FF675E", fillRule: "nonzero", d: "m21.254 14.277 2.941-2.588c.797-.313 1.243.818 1.09 1.554-.01 2.094.02 4.189-.017 6.282-.126.915-1.145 1.08-1.58.34l-2.434-2.142c-.192.287-.504 1.305-.738.468-.104-1.293-.028-2.596-.05-3.894.047-.312.381.823.426 1.069.063-.384.206-.744.362-1.09zm-12.939-3.73c3.858.013 7.717-.025 11.574.02.912.129 1.492 1.237 1.351 2.217-.019 2.412.04 4.83-.03 7.239-.17 1.025-1.166 1.59-2.029 1.429-3.705-.012-7.41.025-11.114-.019-.913-.129-1.492-1.237-1.352-2.217.018-2.404-.036-4.813.029-7.214.136-.82.83-1.473 1.571-1.454z " }) }) }), u2("div", { className: "uppy-DashboardTab-name", children: this.props.i18n("recordVideoBtn") })] }) });
  };
  renderBrowseButton = (text, onClickFn) => {
    const numberOfAcquirers = this.props.acquirers.length;
    return u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-Dashboard-browse", onClick: onClickFn, "data-uppy-super-focusable": numberOfAcquirers === 0, children: text });
  };
  renderDropPasteBrowseTagline = (numberOfAcquirers) => {
    const browseFiles = this.renderBrowseButton(this.props.i18n("browseFiles"), this.triggerFileInputClick);
    const browseFolders = this.renderBrowseButton(this.props.i18n("browseFolders"), this.triggerFolderInputClick);
    const lowerFMSelectionType = this.props.fileManagerSelectionType;
    const camelFMSelectionType = lowerFMSelectionType.charAt(0).toUpperCase() + lowerFMSelectionType.slice(1);
    return u2("div", { class: "uppy-Dashboard-AddFiles-title", children: this.props.disableLocalFiles ? this.props.i18n("importFiles") : numberOfAcquirers > 0 ? this.props.i18nArray(`dropPasteImport${camelFMSelectionType}`, {
      browseFiles,
      browseFolders,
      browse: browseFiles
    }) : this.props.i18nArray(`dropPaste${camelFMSelectionType}`, {
      browseFiles,
      browseFolders,
      browse: browseFiles
    }) });
  };
  [/* @__PURE__ */ Symbol.for("uppy test: disable unused locale key warning")]() {
    this.props.i18nArray("dropPasteBoth");
    this.props.i18nArray("dropPasteFiles");
    this.props.i18nArray("dropPasteFolders");
    this.props.i18nArray("dropPasteImportBoth");
    this.props.i18nArray("dropPasteImportFiles");
    this.props.i18nArray("dropPasteImportFolders");
  }
  renderAcquirer = (acquirer) => {
    return u2("div", { className: "uppy-DashboardTab", role: "presentation", "data-uppy-acquirer-id": acquirer.id, children: u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-DashboardTab-btn", role: "tab", tabIndex: 0, "data-cy": acquirer.id, "aria-controls": `uppy-DashboardContent-panel--${acquirer.id}`, "aria-selected": this.props.activePickerPanel?.id === acquirer.id, "data-uppy-super-focusable": true, onClick: () => this.props.showPanel(acquirer.id), children: [u2("div", { className: "uppy-DashboardTab-inner", children: acquirer.icon() }), u2("div", { className: "uppy-DashboardTab-name", children: acquirer.name })] }) });
  };
  renderSourcesList = (acquirers, disableLocalFiles) => {
    const { showNativePhotoCameraButton, showNativeVideoCameraButton } = this.props;
    let list = [];
    const myDeviceKey = "myDevice";
    if (!disableLocalFiles)
      list.push({
        key: myDeviceKey,
        elements: this.renderMyDeviceAcquirer()
      });
    if (showNativePhotoCameraButton)
      list.push({
        key: "nativePhotoCameraButton",
        elements: this.renderPhotoCamera()
      });
    if (showNativeVideoCameraButton)
      list.push({
        key: "nativePhotoCameraButton",
        elements: this.renderVideoCamera()
      });
    list.push(...acquirers.map((acquirer) => ({
      key: acquirer.id,
      elements: this.renderAcquirer(acquirer)
    })));
    const hasOnlyMyDevice = list.length === 1 && list[0].key === myDeviceKey;
    if (hasOnlyMyDevice)
      list = [];
    const listWithoutLastTwo = [...list];
    const lastTwo = listWithoutLastTwo.splice(list.length - 2, list.length);
    return u2(S, { children: [this.renderDropPasteBrowseTagline(list.length), u2("div", { className: "uppy-Dashboard-AddFiles-list", role: "tablist", children: [listWithoutLastTwo.map(({ key, elements }) => u2(S, { children: elements }, key)), u2("span", { role: "presentation", style: { "white-space": "nowrap" }, children: lastTwo.map(({ key, elements }) => u2(S, { children: elements }, key)) })] })] });
  };
  renderPoweredByUppy() {
    const { i18nArray } = this.props;
    const uppyBranding = u2("span", { children: [u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon uppy-Dashboard-poweredByIcon", width: "11", height: "11", viewBox: "0 0 11 11", children: u2("path", { d: "M7.365 10.5l-.01-4.045h2.612L5.5.806l-4.467 5.65h2.604l.01 4.044h3.718z", fillRule: "evenodd" }) }), u2("span", { className: "uppy-Dashboard-poweredByUppy", children: "Uppy" })] });
    const linkText = i18nArray("poweredBy", { uppy: uppyBranding });
    return u2("a", { tabIndex: -1, href: "https://uppy.io", rel: "noreferrer noopener", target: "_blank", className: "uppy-Dashboard-poweredBy", children: linkText });
  }
  render() {
    const { showNativePhotoCameraButton, showNativeVideoCameraButton, nativeCameraFacingMode } = this.props;
    return u2("div", { className: "uppy-Dashboard-AddFiles", children: [this.renderHiddenInput(false, (ref) => {
      this.fileInput = ref;
    }), this.renderHiddenInput(true, (ref) => {
      this.folderInput = ref;
    }), showNativePhotoCameraButton && this.renderHiddenCameraInput("photo", nativeCameraFacingMode, (ref) => {
      this.mobilePhotoFileInput = ref;
    }), showNativeVideoCameraButton && this.renderHiddenCameraInput("video", nativeCameraFacingMode, (ref) => {
      this.mobileVideoFileInput = ref;
    }), this.renderSourcesList(this.props.acquirers, this.props.disableLocalFiles), u2("div", { className: "uppy-Dashboard-AddFiles-info", children: [this.props.note && u2("div", { className: "uppy-Dashboard-note", children: this.props.note }), this.props.proudlyDisplayPoweredByUppy && this.renderPoweredByUppy()] })] });
  }
};
var AddFiles_default = AddFiles;

// node_modules/uppy6-dashboard/lib/components/AddFilesPanel.js
var import_classnames8 = __toESM(require_classnames(), 1);
var AddFilesPanel = (props) => {
  return u2("div", { className: (0, import_classnames8.default)("uppy-Dashboard-AddFilesPanel", props.className), "data-uppy-panelType": "AddFiles", "aria-hidden": !props.showAddFilesPanel, children: [u2("div", { className: "uppy-DashboardContent-bar", children: [u2("div", { className: "uppy-DashboardContent-title", role: "heading", "aria-level": 1, children: props.i18n("addingMoreFiles") }), u2("button", { className: "uppy-DashboardContent-back", type: "button", onClick: () => props.toggleAddFilesPanel(false), children: props.i18n("back") })] }), u2(AddFiles_default, { ...props })] });
};
var AddFilesPanel_default = AddFilesPanel;

// node_modules/uppy6-dashboard/lib/components/EditorPanel.js
var import_classnames9 = __toESM(require_classnames(), 1);
function EditorPanel(props) {
  const file = props.fileCardFor ? props.files[props.fileCardFor] : void 0;
  if (!file) {
    return null;
  }
  const handleCancel = () => {
    props.uppy.emit("file-editor:cancel", file);
    props.closeFileEditor();
  };
  return u2("div", { className: (0, import_classnames9.default)("uppy-DashboardContent-panel", props.className), role: "tabpanel", "data-uppy-panelType": "FileEditor", id: "uppy-DashboardContent-panel--editor", children: [u2("div", { className: "uppy-DashboardContent-bar", children: [u2("div", { className: "uppy-DashboardContent-title", role: "heading", "aria-level": 1, children: props.i18nArray("editing", {
    file: u2("span", { className: "uppy-DashboardContent-titleFile", children: file.meta ? file.meta.name : file.name })
  }) }), u2("button", { className: "uppy-DashboardContent-back", type: "button", onClick: handleCancel, children: props.i18n("cancel") }), u2("button", { className: "uppy-DashboardContent-save", type: "button", onClick: props.saveFileEditor, children: props.i18n("save") })] }), u2("div", { className: "uppy-DashboardContent-panelBody", children: props.editors.map((target2) => {
    return props.uppy.getPlugin(target2.id).render(props.state);
  }) })] });
}
var EditorPanel_default = EditorPanel;

// node_modules/uppy6-dashboard/lib/components/FileCard/index.js
var import_classnames10 = __toESM(require_classnames(), 1);

// node_modules/uppy6-dashboard/lib/utils/getFileTypeIcon.js
function iconImage() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("g", { fill: "#686DE0", fillRule: "evenodd", children: [u2("path", { d: "M5 7v10h15V7H5zm0-1h15a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1z", fillRule: "nonzero" }), u2("path", { d: "M6.35 17.172l4.994-5.026a.5.5 0 0 1 .707 0l2.16 2.16 3.505-3.505a.5.5 0 0 1 .707 0l2.336 2.31-.707.72-1.983-1.97-3.505 3.505a.5.5 0 0 1-.707 0l-2.16-2.159-3.938 3.939-1.409.026z", fillRule: "nonzero" }), u2("circle", { cx: "7.5", cy: "9.5", r: "1.5" })] }) });
}
function iconAudio() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("path", { d: "M9.5 18.64c0 1.14-1.145 2-2.5 2s-2.5-.86-2.5-2c0-1.14 1.145-2 2.5-2 .557 0 1.079.145 1.5.396V7.25a.5.5 0 0 1 .379-.485l9-2.25A.5.5 0 0 1 18.5 5v11.64c0 1.14-1.145 2-2.5 2s-2.5-.86-2.5-2c0-1.14 1.145-2 2.5-2 .557 0 1.079.145 1.5.396V8.67l-8 2v7.97zm8-11v-2l-8 2v2l8-2zM7 19.64c.855 0 1.5-.484 1.5-1s-.645-1-1.5-1-1.5.484-1.5 1 .645 1 1.5 1zm9-2c.855 0 1.5-.484 1.5-1s-.645-1-1.5-1-1.5.484-1.5 1 .645 1 1.5 1z", fill: "#049BCF", fillRule: "nonzero" }) });
}
function iconVideo() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("path", { d: "M16 11.834l4.486-2.691A1 1 0 0 1 22 10v6a1 1 0 0 1-1.514.857L16 14.167V17a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v2.834zM15 9H5v8h10V9zm1 4l5 3v-6l-5 3z", fill: "#19AF67", fillRule: "nonzero" }) });
}
function iconPDF() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("path", { d: "M9.766 8.295c-.691-1.843-.539-3.401.747-3.726 1.643-.414 2.505.938 2.39 3.299-.039.79-.194 1.662-.537 3.148.324.49.66.967 1.055 1.51.17.231.382.488.629.757 1.866-.128 3.653.114 4.918.655 1.487.635 2.192 1.685 1.614 2.84-.566 1.133-1.839 1.084-3.416.249-1.141-.604-2.457-1.634-3.51-2.707a13.467 13.467 0 0 0-2.238.426c-1.392 4.051-4.534 6.453-5.707 4.572-.986-1.58 1.38-4.206 4.914-5.375.097-.322.185-.656.264-1.001.08-.353.306-1.31.407-1.737-.678-1.059-1.2-2.031-1.53-2.91zm2.098 4.87c-.033.144-.068.287-.104.427l.033-.01-.012.038a14.065 14.065 0 0 1 1.02-.197l-.032-.033.052-.004a7.902 7.902 0 0 1-.208-.271c-.197-.27-.38-.526-.555-.775l-.006.028-.002-.003c-.076.323-.148.632-.186.8zm5.77 2.978c1.143.605 1.832.632 2.054.187.26-.519-.087-1.034-1.113-1.473-.911-.39-2.175-.608-3.55-.608.845.766 1.787 1.459 2.609 1.894zM6.559 18.789c.14.223.693.16 1.425-.413.827-.648 1.61-1.747 2.208-3.206-2.563 1.064-4.102 2.867-3.633 3.62zm5.345-10.97c.088-1.793-.351-2.48-1.146-2.28-.473.119-.564 1.05-.056 2.405.213.566.52 1.188.908 1.859.18-.858.268-1.453.294-1.984z", fill: "#E2514A", fillRule: "nonzero" }) });
}
function iconArchive() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("path", { d: "M10.45 2.05h1.05a.5.5 0 0 1 .5.5v.024a.5.5 0 0 1-.5.5h-1.05a.5.5 0 0 1-.5-.5V2.55a.5.5 0 0 1 .5-.5zm2.05 1.024h1.05a.5.5 0 0 1 .5.5V3.6a.5.5 0 0 1-.5.5H12.5a.5.5 0 0 1-.5-.5v-.025a.5.5 0 0 1 .5-.5v-.001zM10.45 0h1.05a.5.5 0 0 1 .5.5v.025a.5.5 0 0 1-.5.5h-1.05a.5.5 0 0 1-.5-.5V.5a.5.5 0 0 1 .5-.5zm2.05 1.025h1.05a.5.5 0 0 1 .5.5v.024a.5.5 0 0 1-.5.5H12.5a.5.5 0 0 1-.5-.5v-.024a.5.5 0 0 1 .5-.5zm-2.05 3.074h1.05a.5.5 0 0 1 .5.5v.025a.5.5 0 0 1-.5.5h-1.05a.5.5 0 0 1-.5-.5v-.025a.5.5 0 0 1 .5-.5zm2.05 1.025h1.05a.5.5 0 0 1 .5.5v.024a.5.5 0 0 1-.5.5H12.5a.5.5 0 0 1-.5-.5v-.024a.5.5 0 0 1 .5-.5zm-2.05 1.024h1.05a.5.5 0 0 1 .5.5v.025a.5.5 0 0 1-.5.5h-1.05a.5.5 0 0 1-.5-.5v-.025a.5.5 0 0 1 .5-.5zm2.05 1.025h1.05a.5.5 0 0 1 .5.5v.025a.5.5 0 0 1-.5.5H12.5a.5.5 0 0 1-.5-.5v-.025a.5.5 0 0 1 .5-.5zm-2.05 1.025h1.05a.5.5 0 0 1 .5.5v.025a.5.5 0 0 1-.5.5h-1.05a.5.5 0 0 1-.5-.5v-.025a.5.5 0 0 1 .5-.5zm2.05 1.025h1.05a.5.5 0 0 1 .5.5v.024a.5.5 0 0 1-.5.5H12.5a.5.5 0 0 1-.5-.5v-.024a.5.5 0 0 1 .5-.5zm-1.656 3.074l-.82 5.946c.52.302 1.174.458 1.976.458.803 0 1.455-.156 1.975-.458l-.82-5.946h-2.311zm0-1.025h2.312c.512 0 .946.378 1.015.885l.82 5.946c.056.412-.142.817-.501 1.026-.686.398-1.515.597-2.49.597-.974 0-1.804-.199-2.49-.597a1.025 1.025 0 0 1-.5-1.026l.819-5.946c.07-.507.503-.885 1.015-.885zm.545 6.6a.5.5 0 0 1-.397-.561l.143-.999a.5.5 0 0 1 .495-.429h.74a.5.5 0 0 1 .495.43l.143.998a.5.5 0 0 1-.397.561c-.404.08-.819.08-1.222 0z", fill: "#00C469", fillRule: "nonzero" }) });
}
function iconFile() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("g", { fill: "#A7AFB7", fillRule: "nonzero", children: [u2("path", { d: "M5.5 22a.5.5 0 0 1-.5-.5v-18a.5.5 0 0 1 .5-.5h10.719a.5.5 0 0 1 .367.16l3.281 3.556a.5.5 0 0 1 .133.339V21.5a.5.5 0 0 1-.5.5h-14zm.5-1h13V7.25L16 4H6v17z" }), u2("path", { d: "M15 4v3a1 1 0 0 0 1 1h3V7h-3V4h-1z" })] }) });
}
function iconText() {
  return u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "25", height: "25", viewBox: "0 0 25 25", children: u2("path", { d: "M4.5 7h13a.5.5 0 1 1 0 1h-13a.5.5 0 0 1 0-1zm0 3h15a.5.5 0 1 1 0 1h-15a.5.5 0 1 1 0-1zm0 3h15a.5.5 0 1 1 0 1h-15a.5.5 0 1 1 0-1zm0 3h10a.5.5 0 1 1 0 1h-10a.5.5 0 1 1 0-1z", fill: "#5A5E69", fillRule: "nonzero" }) });
}
function getIconByMime(fileType) {
  const defaultChoice = {
    color: "#838999",
    icon: iconFile()
  };
  if (!fileType)
    return defaultChoice;
  const fileTypeGeneral = fileType.split("/")[0];
  const fileTypeSpecific = fileType.split("/")[1];
  if (fileTypeGeneral === "text") {
    return {
      color: "#5a5e69",
      icon: iconText()
    };
  }
  if (fileTypeGeneral === "image") {
    return {
      color: "#686de0",
      icon: iconImage()
    };
  }
  if (fileTypeGeneral === "audio") {
    return {
      color: "#068dbb",
      icon: iconAudio()
    };
  }
  if (fileTypeGeneral === "video") {
    return {
      color: "#19af67",
      icon: iconVideo()
    };
  }
  if (fileTypeGeneral === "application" && fileTypeSpecific === "pdf") {
    return {
      color: "#e25149",
      icon: iconPDF()
    };
  }
  const archiveTypes = [
    "zip",
    "x-7z-compressed",
    "x-zip-compressed",
    "x-rar-compressed",
    "x-tar",
    "x-gzip",
    "x-apple-diskimage"
  ];
  if (fileTypeGeneral === "application" && archiveTypes.indexOf(fileTypeSpecific) !== -1) {
    return {
      color: "#00C469",
      icon: iconArchive()
    };
  }
  return defaultChoice;
}

// node_modules/uppy6-dashboard/lib/utils/ignoreEvent.js
function ignoreEvent(ev) {
  const { tagName } = ev.target;
  if (tagName === "INPUT" || tagName === "TEXTAREA") {
    ev.stopPropagation();
    return;
  }
  ev.preventDefault();
  ev.stopPropagation();
}
var ignoreEvent_default = ignoreEvent;

// node_modules/uppy6-dashboard/lib/components/FilePreview.js
function FilePreview(props) {
  const { file } = props;
  if (file.preview) {
    return u2("img", { draggable: false, className: "uppy-Dashboard-Item-previewImg", alt: file.name, src: file.preview });
  }
  const { color, icon } = getIconByMime(file.type);
  return u2("div", { className: "uppy-Dashboard-Item-previewIconWrap", children: [u2("span", { className: "uppy-Dashboard-Item-previewIcon", style: { color }, children: icon }), u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-Dashboard-Item-previewIconBg", width: "58", height: "76", viewBox: "0 0 58 76", children: u2("rect", { fill: "#FFF", width: "58", height: "76", rx: "3", fillRule: "evenodd" }) })] });
}

// node_modules/uppy6-dashboard/lib/components/FileCard/RenderMetaFields.js
function RenderMetaFields(props) {
  const { computedMetaFields, requiredMetaFields, updateMeta, form, formState } = props;
  const fieldCSSClasses = {
    text: "uppy-u-reset uppy-c-textInput uppy-Dashboard-FileCard-input"
  };
  return computedMetaFields.map((field) => {
    const id = `uppy-Dashboard-FileCard-input-${field.id}`;
    const required = requiredMetaFields.includes(field.id);
    return u2("fieldset", { className: "uppy-Dashboard-FileCard-fieldset", children: [u2("label", { className: "uppy-Dashboard-FileCard-label", htmlFor: id, children: field.name }), field.render !== void 0 ? field.render({
      value: formState[field.id],
      onChange: (newVal) => updateMeta(newVal, field.id),
      fieldCSSClasses,
      required,
      form: form.id
    }, k) : u2("input", { className: fieldCSSClasses.text, id, form: form.id, type: field.type || "text", required, value: formState[field.id], placeholder: field.placeholder, onInput: (ev) => updateMeta(ev.target.value, field.id), "data-uppy-super-focusable": true })] }, field.id);
  });
}

// node_modules/uppy6-dashboard/lib/components/FileCard/index.js
function FileCard(props) {
  const { files, fileCardFor, toggleFileCard, saveFileCard, metaFields, requiredMetaFields, openFileEditor, i18n, i18nArray, className, canEditFile } = props;
  const getMetaFields = () => {
    return typeof metaFields === "function" ? metaFields(files[fileCardFor]) : metaFields;
  };
  const file = files[fileCardFor];
  const computedMetaFields = getMetaFields() ?? [];
  const showEditButton = canEditFile(file);
  const storedMetaData = {};
  computedMetaFields.forEach((field) => {
    storedMetaData[field.id] = file.meta[field.id] ?? "";
  });
  const [formState, setFormState] = d2(storedMetaData);
  const handleSave = q2((ev) => {
    ev.preventDefault();
    saveFileCard(formState, fileCardFor);
  }, [saveFileCard, formState, fileCardFor]);
  const updateMeta = (newVal, name) => {
    setFormState({
      ...formState,
      [name]: newVal
    });
  };
  const handleCancel = () => {
    toggleFileCard(false, fileCardFor);
  };
  const [form] = d2(() => {
    const formEl = document.createElement("form");
    formEl.setAttribute("tabindex", "-1");
    formEl.id = nanoid2();
    return formEl;
  });
  const domRef = A2(null);
  h2(() => {
    const rootNode = domRef.current?.getRootNode() ?? document;
    if (rootNode instanceof Document) {
      rootNode.body.appendChild(form);
    } else if (rootNode instanceof ShadowRoot) {
      rootNode.appendChild(form);
    } else {
      rootNode.appendChild(form);
    }
    form.addEventListener("submit", handleSave);
    return () => {
      form.removeEventListener("submit", handleSave);
      if (form.parentNode) {
        form.parentNode.removeChild(form);
      }
    };
  }, [form, handleSave]);
  return u2("div", { className: (0, import_classnames10.default)("uppy-Dashboard-FileCard", className), "data-uppy-panelType": "FileCard", onDragOver: ignoreEvent_default, onDragLeave: ignoreEvent_default, onDrop: ignoreEvent_default, onPaste: ignoreEvent_default, ref: domRef, children: [u2("div", { className: "uppy-DashboardContent-bar", children: [u2("div", { className: "uppy-DashboardContent-title", role: "heading", "aria-level": 1, children: i18nArray("editing", {
    file: u2("span", { className: "uppy-DashboardContent-titleFile", children: file.meta ? file.meta.name : file.name })
  }) }), u2("button", { className: "uppy-DashboardContent-back", type: "button", form: form.id, title: i18n("finishEditingFile"), onClick: handleCancel, children: i18n("cancel") })] }), u2("div", { className: "uppy-Dashboard-FileCard-inner", children: [u2("div", { className: "uppy-Dashboard-FileCard-preview", style: { backgroundColor: getIconByMime(file.type).color }, children: [u2(FilePreview, { file }), showEditButton && u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-Dashboard-FileCard-edit", onClick: (event) => {
    handleSave(event);
    openFileEditor(file);
  }, children: i18n("editImage") })] }), u2("div", { className: "uppy-Dashboard-FileCard-info", children: u2(RenderMetaFields, {
    computedMetaFields,
    requiredMetaFields,
    updateMeta,
    form,
    // @ts-expect-error TODO fix me
    formState
  }) }), u2("div", { className: "uppy-Dashboard-FileCard-actions", children: [u2("button", {
    className: "uppy-u-reset uppy-c-btn uppy-c-btn-primary uppy-Dashboard-FileCard-actionsBtn",
    // If `form` attribute is supported, we want a submit button to trigger the form validation.
    // Otherwise, fallback to a classic button with a onClick event handler.
    type: "submit",
    form: form.id,
    children: i18n("saveChanges")
  }), u2("button", { className: "uppy-u-reset uppy-c-btn uppy-c-btn-link uppy-Dashboard-FileCard-actionsBtn", type: "button", onClick: handleCancel, form: form.id, children: i18n("cancel") })] })] })] });
}

// node_modules/uppy6-dashboard/lib/components/FileItem/index.js
var import_classnames11 = __toESM(require_classnames(), 1);

// node_modules/shallow-equal/dist/index.modern.mjs
function shallowEqualObjects(objA, objB) {
  if (objA === objB) {
    return true;
  }
  if (!objA || !objB) {
    return false;
  }
  const aKeys = Object.keys(objA);
  const bKeys = Object.keys(objB);
  const len = aKeys.length;
  if (bKeys.length !== len) {
    return false;
  }
  for (let i4 = 0; i4 < len; i4++) {
    const key = aKeys[i4];
    if (objA[key] !== objB[key] || !Object.prototype.hasOwnProperty.call(objB, key)) {
      return false;
    }
  }
  return true;
}

// node_modules/uppy6-dashboard/lib/utils/copyToClipboard.js
function copyToClipboard(textToCopy, fallbackString = "Copy the URL below") {
  return new Promise((resolve) => {
    const textArea = document.createElement("textarea");
    textArea.style.position = "fixed";
    textArea.style.top = "0";
    textArea.style.left = "0";
    textArea.style.width = "2em";
    textArea.style.height = "2em";
    textArea.style.padding = "0";
    textArea.style.border = "none";
    textArea.style.outline = "none";
    textArea.style.boxShadow = "none";
    textArea.style.background = "transparent";
    textArea.value = textToCopy;
    document.body.appendChild(textArea);
    textArea.select();
    const magicCopyFailed = () => {
      document.body.removeChild(textArea);
      window.prompt(fallbackString, textToCopy);
      resolve();
    };
    try {
      const successful = document.execCommand("copy");
      if (!successful) {
        return magicCopyFailed();
      }
      document.body.removeChild(textArea);
      resolve();
    } catch {
      document.body.removeChild(textArea);
      return magicCopyFailed();
    }
  });
}

// node_modules/uppy6-dashboard/lib/components/FileItem/Buttons/index.js
function EditButton({ file, uploadInProgressOrComplete, metaFields, canEditFile, i18n, onClick }) {
  if (!uploadInProgressOrComplete && metaFields && metaFields.length > 0 || !uploadInProgressOrComplete && canEditFile(file)) {
    return u2("button", { className: "uppy-u-reset uppy-c-btn uppy-Dashboard-Item-action uppy-Dashboard-Item-action--edit", type: "button", "aria-label": i18n("editFileWithFilename", { file: file.meta.name }), title: i18n("editFileWithFilename", { file: file.meta.name }), onClick: () => onClick(), children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "14", height: "14", viewBox: "0 0 14 14", children: u2("g", { fillRule: "evenodd", children: [u2("path", { d: "M1.5 10.793h2.793A1 1 0 0 0 5 10.5L11.5 4a1 1 0 0 0 0-1.414L9.707.793a1 1 0 0 0-1.414 0l-6.5 6.5A1 1 0 0 0 1.5 8v2.793zm1-1V8L9 1.5l1.793 1.793-6.5 6.5H2.5z", fillRule: "nonzero" }), u2("rect", { x: "1", y: "12.293", width: "11", height: "1", rx: ".5" }), u2("path", { fillRule: "nonzero", d: "M6.793 2.5L9.5 5.207l.707-.707L7.5 1.793z" })] }) }) });
  }
  return null;
}
function RemoveButton({ i18n, onClick, file }) {
  return u2("button", { className: "uppy-u-reset uppy-Dashboard-Item-action uppy-Dashboard-Item-action--remove", type: "button", "aria-label": i18n("removeFile", { file: file.meta.name }), title: i18n("removeFile", { file: file.meta.name }), onClick: () => onClick(), children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "18", height: "18", viewBox: "0 0 18 18", children: [u2("path", { d: "M9 0C4.034 0 0 4.034 0 9s4.034 9 9 9 9-4.034 9-9-4.034-9-9-9z" }), u2("path", { fill: "#FFF", d: "M13 12.222l-.778.778L9 9.778 5.778 13 5 12.222 8.222 9 5 5.778 5.778 5 9 8.222 12.222 5l.778.778L9.778 9z" })] }) });
}
function CopyLinkButton({ file, uppy: uppy2, i18n }) {
  const copyLinkToClipboard = (event) => {
    const { currentTarget } = event;
    copyToClipboard(file.uploadURL, i18n("copyLinkToClipboardFallback")).then(() => {
      uppy2.log("Link copied to clipboard.");
      uppy2.info(i18n("copyLinkToClipboardSuccess"), "info", 3e3);
    }).catch(uppy2.log).then(() => currentTarget.focus({ preventScroll: true }));
  };
  return u2("button", { className: "uppy-u-reset uppy-Dashboard-Item-action uppy-Dashboard-Item-action--copyLink", type: "button", "aria-label": i18n("copyLink"), title: i18n("copyLink"), onClick: (event) => copyLinkToClipboard(event), children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "14", height: "14", viewBox: "0 0 14 12", children: u2("path", { d: "M7.94 7.703a2.613 2.613 0 0 1-.626 2.681l-.852.851a2.597 2.597 0 0 1-1.849.766A2.616 2.616 0 0 1 2.764 7.54l.852-.852a2.596 2.596 0 0 1 2.69-.625L5.267 7.099a1.44 1.44 0 0 0-.833.407l-.852.851a1.458 1.458 0 0 0 1.03 2.486c.39 0 .755-.152 1.03-.426l.852-.852c.231-.231.363-.522.406-.824l1.04-1.038zm4.295-5.937A2.596 2.596 0 0 0 10.387 1c-.698 0-1.355.272-1.849.766l-.852.851a2.614 2.614 0 0 0-.624 2.688l1.036-1.036c.041-.304.173-.6.407-.833l.852-.852c.275-.275.64-.426 1.03-.426a1.458 1.458 0 0 1 1.03 2.486l-.852.851a1.442 1.442 0 0 1-.824.406l-1.04 1.04a2.596 2.596 0 0 0 2.683-.628l.851-.85a2.616 2.616 0 0 0 0-3.697zm-6.88 6.883a.577.577 0 0 0 .82 0l3.474-3.474a.579.579 0 1 0-.819-.82L5.355 7.83a.579.579 0 0 0 0 .819z" }) }) });
}
function Buttons(props) {
  const { uppy: uppy2, file, uploadInProgressOrComplete, canEditFile, metaFields, showLinkToFileUploadResult, showRemoveButton, i18n, toggleFileCard, openFileEditor } = props;
  const editAction = () => {
    if (metaFields && metaFields.length > 0) {
      toggleFileCard(true, file.id);
    } else {
      openFileEditor(file);
    }
  };
  return u2("div", { className: "uppy-Dashboard-Item-actionWrapper", children: [u2(EditButton, { i18n, file, uploadInProgressOrComplete, canEditFile, metaFields, onClick: editAction }), showLinkToFileUploadResult && file.uploadURL ? u2(CopyLinkButton, { file, uppy: uppy2, i18n }) : null, showRemoveButton ? u2(RemoveButton, { i18n, file, onClick: () => uppy2.removeFile(file.id) }) : null] });
}

// node_modules/uppy6-dashboard/node_modules/@transloadit/prettier-bytes/dist/prettierBytes.js
var units2 = ["B", "KB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
function prettierBytes2(input, unit) {
  if (typeof input !== "number" || Number.isNaN(input)) {
    throw new TypeError(`Expected a number, got ${typeof input}`);
  }
  const neg = input < 0;
  let num = Math.abs(input);
  if (neg) {
    num = -num;
  }
  if (num === 0) {
    return "0 B";
  }
  const exponent = unit ? units2.indexOf(unit) : Math.min(Math.floor(Math.log(num) / Math.log(1024)), units2.length - 1);
  const value = Number(num / 1024 ** exponent);
  const displayUnit = units2[exponent];
  if (exponent >= 3) {
    return value % 1 === 0 ? `${Math.round(value)} ${displayUnit}` : `${value.toFixed(2)} ${displayUnit}`;
  }
  return `${value >= 10 || value % 1 === 0 ? Math.round(value) : value.toFixed(1)} ${displayUnit}`;
}

// node_modules/uppy6-dashboard/lib/components/FileItem/MetaErrorMessage.js
function metaFieldIdToName(metaFieldId, metaFields, file) {
  const fields = typeof metaFields === "function" ? metaFields(file) : metaFields;
  const field = fields?.find((f5) => f5.id === metaFieldId);
  return field?.name ?? metaFieldId;
}
function MetaErrorMessage(props) {
  const { file, toggleFileCard, i18n, metaFields } = props;
  const { missingRequiredMetaFields } = file;
  if (!missingRequiredMetaFields?.length) {
    return null;
  }
  const metaFieldsString = missingRequiredMetaFields.map((missingMetaField) => metaFieldIdToName(missingMetaField, metaFields, file)).join(", ");
  return u2("div", { className: "uppy-Dashboard-Item-errorMessage", children: [i18n("missingRequiredMetaFields", {
    smart_count: missingRequiredMetaFields.length,
    fields: metaFieldsString
  }), " ", u2("button", { type: "button", class: "uppy-u-reset uppy-Dashboard-Item-errorMessageBtn", onClick: () => toggleFileCard(true, file.id), children: i18n("editFile") })] });
}

// node_modules/uppy6-dashboard/lib/components/FileItem/FileInfo/index.js
var renderFileName = (props) => {
  const { author, name } = props.file.meta;
  function getMaxNameLength() {
    if (props.isSingleFile && props.containerHeight >= 350) {
      return 90;
    }
    if (props.containerWidth <= 352) {
      return 35;
    }
    if (props.containerWidth <= 576) {
      return 60;
    }
    return author ? 20 : 30;
  }
  return u2("div", { className: "uppy-Dashboard-Item-name", title: name, children: truncateString(name, getMaxNameLength()) });
};
var renderAuthor = (props) => {
  const { author } = props.file.meta;
  const providerName = "remote" in props.file ? props.file.remote?.providerName : void 0;
  const dot = `\xB7`;
  if (!author) {
    return null;
  }
  return u2("div", { className: "uppy-Dashboard-Item-author", children: [u2("a", { href: `${author.url}?utm_source=Companion&utm_medium=referral`, target: "_blank", rel: "noopener noreferrer", children: truncateString(author.name, 13) }), providerName ? u2(S, { children: [` ${dot} `, providerName, ` ${dot} `] }) : null] });
};
var renderFileSize = (props) => props.file.size && u2("div", { className: "uppy-Dashboard-Item-statusSize", children: prettierBytes2(props.file.size) });
var ReSelectButton = (props) => props.file.isGhost && u2("span", { children: [" \u2022 ", u2("button", { className: "uppy-u-reset uppy-c-btn uppy-Dashboard-Item-reSelect", type: "button", onClick: () => props.toggleAddFilesPanel(true), children: props.i18n("reSelect") })] });
var ErrorButton = ({ file, onClick }) => {
  if (file.error) {
    return u2("button", { className: "uppy-u-reset uppy-c-btn uppy-Dashboard-Item-errorDetails", "aria-label": file.error, "data-microtip-position": "bottom", "data-microtip-size": "medium", onClick, type: "button", children: "?" });
  }
  return null;
};
function FileInfo(props) {
  const { file, i18n, toggleFileCard, metaFields, toggleAddFilesPanel, isSingleFile, containerHeight, containerWidth } = props;
  return u2("div", { className: "uppy-Dashboard-Item-fileInfo", "data-uppy-file-source": file.source, children: [u2("div", { className: "uppy-Dashboard-Item-fileName", children: [renderFileName({
    file,
    isSingleFile,
    containerHeight,
    containerWidth
  }), u2(ErrorButton, { file, onClick: () => alert(file.error) })] }), u2("div", { className: "uppy-Dashboard-Item-status", children: [renderAuthor({ file }), renderFileSize({ file }), ReSelectButton({ file, toggleAddFilesPanel, i18n })] }), u2(MetaErrorMessage, { file, i18n, toggleFileCard, metaFields })] });
}

// node_modules/uppy6-dashboard/lib/components/FileItem/FilePreviewAndLink/index.js
function FilePreviewAndLink(props) {
  const { file, i18n, toggleFileCard, metaFields, showLinkToFileUploadResult } = props;
  const white = "rgba(255, 255, 255, 0.5)";
  const previewBackgroundColor = file.preview ? white : getIconByMime(file.type).color;
  return u2("div", { className: "uppy-Dashboard-Item-previewInnerWrap", style: { backgroundColor: previewBackgroundColor }, children: [showLinkToFileUploadResult && file.uploadURL && u2("a", { className: "uppy-Dashboard-Item-previewLink", href: file.uploadURL, rel: "noreferrer noopener", target: "_blank", "aria-label": file.meta.name, children: u2("span", { hidden: true, children: file.meta.name }) }), u2(FilePreview, { file }), u2(MetaErrorMessage, { file, i18n, toggleFileCard, metaFields })] });
}

// node_modules/uppy6-dashboard/lib/components/FileItem/FileProgress/index.js
function onPauseResumeCancelRetry(props) {
  if (props.isUploaded)
    return;
  if (props.error && !props.hideRetryButton) {
    props.uppy.retryUpload(props.file.id);
    return;
  }
  if (props.resumableUploads && !props.hidePauseResumeButton) {
    props.uppy.pauseResume(props.file.id);
  } else if (props.individualCancellation && !props.hideCancelButton) {
    props.uppy.removeFile(props.file.id);
  }
}
function progressIndicatorTitle(props) {
  if (props.isUploaded) {
    return props.i18n("uploadComplete");
  }
  if (props.error) {
    return props.i18n("retryUpload");
  }
  if (props.resumableUploads) {
    if (props.file.isPaused) {
      return props.i18n("resumeUpload");
    }
    return props.i18n("pauseUpload");
  }
  if (props.individualCancellation) {
    return props.i18n("cancelUpload");
  }
  return "";
}
function ProgressIndicatorButton(props) {
  return u2("div", { className: "uppy-Dashboard-Item-progress", children: u2("button", { className: "uppy-u-reset uppy-c-btn uppy-Dashboard-Item-progressIndicator", type: "button", "aria-label": progressIndicatorTitle(props), title: progressIndicatorTitle(props), onClick: () => onPauseResumeCancelRetry(props), children: props.children }) });
}
function ProgressCircleContainer({ children }) {
  return u2("svg", { "aria-hidden": "true", focusable: "false", width: "70", height: "70", viewBox: "0 0 36 36", className: "uppy-c-icon uppy-Dashboard-Item-progressIcon--circle", children });
}
function ProgressCircle({ progress }) {
  const circleLength = 2 * Math.PI * 15;
  return u2("g", { children: [u2("circle", { className: "uppy-Dashboard-Item-progressIcon--bg", r: "15", cx: "18", cy: "18", "stroke-width": "2", fill: "none" }), u2("circle", { className: "uppy-Dashboard-Item-progressIcon--progress", r: "15", cx: "18", cy: "18", transform: "rotate(-90, 18, 18)", fill: "none", "stroke-width": "2", "stroke-dasharray": circleLength, "stroke-dashoffset": circleLength - circleLength / 100 * progress })] });
}
function FileProgress(props) {
  if (!props.file.progress.uploadStarted) {
    return null;
  }
  if (props.file.progress.percentage === void 0) {
    return null;
  }
  if (props.isUploaded) {
    return u2("div", { className: "uppy-Dashboard-Item-progress", children: u2("div", { className: "uppy-Dashboard-Item-progressIndicator", children: u2(ProgressCircleContainer, { children: [u2("circle", { r: "15", cx: "18", cy: "18", fill: "#1bb240" }), u2("polygon", { className: "uppy-Dashboard-Item-progressIcon--check", transform: "translate(2, 3)", points: "14 22.5 7 15.2457065 8.99985857 13.1732815 14 18.3547104 22.9729883 9 25 11.1005634" })] }) }) });
  }
  if (props.recoveredState) {
    return null;
  }
  if (props.error && !props.hideRetryButton) {
    return u2(ProgressIndicatorButton, { ...props, children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon uppy-Dashboard-Item-progressIcon--retry", width: "28", height: "31", viewBox: "0 0 16 19", children: [u2("path", { d: "M16 11a8 8 0 1 1-8-8v2a6 6 0 1 0 6 6h2z" }), u2("path", { d: "M7.9 3H10v2H7.9z" }), u2("path", { d: "M8.536.5l3.535 3.536-1.414 1.414L7.12 1.914z" }), u2("path", { d: "M10.657 2.621l1.414 1.415L8.536 7.57 7.12 6.157z" })] }) });
  }
  if (props.resumableUploads && !props.hidePauseResumeButton) {
    return u2(ProgressIndicatorButton, { ...props, children: u2(ProgressCircleContainer, { children: [u2(ProgressCircle, { progress: props.file.progress.percentage }), props.file.isPaused ? u2("polygon", { className: "uppy-Dashboard-Item-progressIcon--play", transform: "translate(3, 3)", points: "12 20 12 10 20 15" }) : u2("g", { className: "uppy-Dashboard-Item-progressIcon--pause", transform: "translate(14.5, 13)", children: [u2("rect", { x: "0", y: "0", width: "2", height: "10", rx: "0" }), u2("rect", { x: "5", y: "0", width: "2", height: "10", rx: "0" })] })] }) });
  }
  if (!props.resumableUploads && props.individualCancellation && !props.hideCancelButton) {
    return u2(ProgressIndicatorButton, { ...props, children: u2(ProgressCircleContainer, { children: [u2(ProgressCircle, { progress: props.file.progress.percentage }), u2("polygon", { className: "cancel", transform: "translate(2, 2)", points: "19.8856516 11.0625 16 14.9481516 12.1019737 11.0625 11.0625 12.1143484 14.9481516 16 11.0625 19.8980263 12.1019737 20.9375 16 17.0518484 19.8856516 20.9375 20.9375 19.8980263 17.0518484 16 20.9375 12" })] }) });
  }
  return u2("div", { className: "uppy-Dashboard-Item-progress", children: u2("div", { className: "uppy-Dashboard-Item-progressIndicator", children: u2(ProgressCircleContainer, { children: u2(ProgressCircle, { progress: props.file.progress.percentage }) }) }) });
}

// node_modules/uppy6-dashboard/lib/components/FileItem/index.js
var FileItem = class extends C {
  componentDidMount() {
    const { file } = this.props;
    if (!file.preview) {
      this.props.handleRequestThumbnail(file);
    }
  }
  shouldComponentUpdate(nextProps) {
    return !shallowEqualObjects(this.props, nextProps);
  }
  // VirtualList mounts FileItems again and they emit `thumbnail:request`
  // Otherwise thumbnails are broken or missing after Golden Retriever restores files
  componentDidUpdate() {
    const { file } = this.props;
    if (!file.preview) {
      this.props.handleRequestThumbnail(file);
    }
  }
  componentWillUnmount() {
    const { file } = this.props;
    if (!file.preview) {
      this.props.handleCancelThumbnail(file);
    }
  }
  render() {
    const { file } = this.props;
    const isProcessing = file.progress.preprocess || file.progress.postprocess;
    const isUploaded = !!file.progress.uploadComplete && !isProcessing && !file.error;
    const uploadInProgressOrComplete = !!file.progress.uploadStarted || !!isProcessing;
    const uploadInProgress = file.progress.uploadStarted && !file.progress.uploadComplete || isProcessing;
    const error = file.error || false;
    const { isGhost } = file;
    let showRemoveButton = this.props.individualCancellation ? !isUploaded : !uploadInProgress && !isUploaded;
    if (isUploaded && this.props.showRemoveButtonAfterComplete) {
      showRemoveButton = true;
    }
    const dashboardItemClass = (0, import_classnames11.default)({
      "uppy-Dashboard-Item": true,
      "is-inprogress": uploadInProgress && !this.props.recoveredState,
      "is-processing": isProcessing,
      "is-complete": isUploaded,
      "is-error": !!error,
      "is-resumable": this.props.resumableUploads,
      "is-noIndividualCancellation": !this.props.individualCancellation,
      "is-ghost": isGhost
    });
    return u2("div", { className: dashboardItemClass, id: `uppy_${file.id}`, role: this.props.role, children: [u2("div", { className: "uppy-Dashboard-Item-preview", children: [u2(FilePreviewAndLink, { file, showLinkToFileUploadResult: this.props.showLinkToFileUploadResult, i18n: this.props.i18n, toggleFileCard: this.props.toggleFileCard, metaFields: this.props.metaFields }), u2(FileProgress, { uppy: this.props.uppy, file, error, isUploaded, hideRetryButton: this.props.hideRetryButton, hideCancelButton: this.props.hideCancelButton, hidePauseResumeButton: this.props.hidePauseResumeButton, recoveredState: this.props.recoveredState, resumableUploads: this.props.resumableUploads, individualCancellation: this.props.individualCancellation, i18n: this.props.i18n })] }), u2("div", { className: "uppy-Dashboard-Item-fileInfoAndButtons", children: [u2(FileInfo, { file, containerWidth: this.props.containerWidth, containerHeight: this.props.containerHeight, i18n: this.props.i18n, toggleAddFilesPanel: this.props.toggleAddFilesPanel, toggleFileCard: this.props.toggleFileCard, metaFields: this.props.metaFields, isSingleFile: this.props.isSingleFile }), u2(Buttons, { file, metaFields: this.props.metaFields, showLinkToFileUploadResult: this.props.showLinkToFileUploadResult, showRemoveButton, canEditFile: this.props.canEditFile, uploadInProgressOrComplete, toggleFileCard: this.props.toggleFileCard, openFileEditor: this.props.openFileEditor, uppy: this.props.uppy, i18n: this.props.i18n })] })] });
  }
};

// node_modules/uppy6-dashboard/lib/components/FileList.js
function chunks2(list, size) {
  const chunked = [];
  let currentChunk = [];
  list.forEach((item) => {
    if (currentChunk.length < size) {
      currentChunk.push(item);
    } else {
      chunked.push(currentChunk);
      currentChunk = [item];
    }
  });
  if (currentChunk.length)
    chunked.push(currentChunk);
  return chunked;
}
function FileList({ id, i18n, uppy: uppy2, files, resumableUploads, hideRetryButton, hidePauseResumeButton, hideCancelButton, showLinkToFileUploadResult, showRemoveButtonAfterComplete, metaFields, isSingleFile, toggleFileCard, handleRequestThumbnail, handleCancelThumbnail, recoveredState, individualCancellation, itemsPerRow, openFileEditor, canEditFile, toggleAddFilesPanel, containerWidth, containerHeight }) {
  const rowHeight = itemsPerRow === 1 ? (
    // Mobile
    71
  ) : (
    // 190px height + 2 * 5px margin
    200
  );
  const rows = T2(() => {
    const sortByGhostComesFirst = (file1, file2) => Number(files[file2].isGhost) - Number(files[file1].isGhost);
    const fileIds = Object.keys(files);
    if (recoveredState)
      fileIds.sort(sortByGhostComesFirst);
    return chunks2(fileIds, itemsPerRow);
  }, [files, itemsPerRow, recoveredState]);
  const renderRow = (row) => u2("div", {
    class: "uppy-Dashboard-filesInner",
    // The `role="presentation` attribute ensures that the list items are properly
    // associated with the `VirtualList` element.
    role: "presentation",
    children: row.map((fileID) => u2(FileItem, {
      uppy: uppy2,
      // FIXME This is confusing, it's actually the Dashboard's plugin ID
      id,
      // TODO move this to context
      i18n,
      // features
      resumableUploads,
      individualCancellation,
      // visual options
      hideRetryButton,
      hidePauseResumeButton,
      hideCancelButton,
      showLinkToFileUploadResult,
      showRemoveButtonAfterComplete,
      metaFields,
      recoveredState,
      isSingleFile,
      containerWidth,
      containerHeight,
      // callbacks
      toggleFileCard,
      handleRequestThumbnail,
      handleCancelThumbnail,
      role: "listitem",
      openFileEditor,
      canEditFile,
      toggleAddFilesPanel,
      file: files[fileID]
    }, fileID))
  }, row[0]);
  if (isSingleFile) {
    return u2("div", { class: "uppy-Dashboard-files", children: renderRow(rows[0]) });
  }
  return u2(VirtualList, { class: "uppy-Dashboard-files", role: "list", data: rows, renderRow, rowHeight });
}

// node_modules/uppy6-dashboard/lib/components/Informer/FadeIn.js
var TRANSITION_MS = 300;
var FadeIn = class extends C {
  ref = M();
  componentWillEnter(callback) {
    this.ref.current.style.opacity = "1";
    this.ref.current.style.transform = "none";
    setTimeout(callback, TRANSITION_MS);
  }
  componentWillLeave(callback) {
    this.ref.current.style.opacity = "0";
    this.ref.current.style.transform = "translateY(350%)";
    setTimeout(callback, TRANSITION_MS);
  }
  render() {
    const { children } = this.props;
    return u2("div", { className: "uppy-Informer-animated", ref: this.ref, children });
  }
};

// node_modules/uppy6-dashboard/lib/components/Informer/TransitionGroup.js
function assign(obj, props) {
  return Object.assign(obj, props);
}
function getKey(vnode, fallback) {
  return vnode?.key ?? fallback;
}
function linkRef(component, name) {
  const cache = component._ptgLinkedRefs || (component._ptgLinkedRefs = {});
  return cache[name] || // biome-ignore lint/suspicious/noAssignInExpressions: ...
  (cache[name] = (c4) => {
    component.refs[name] = c4;
  });
}
function getChildMapping(children) {
  const out = {};
  for (let i4 = 0; i4 < children.length; i4++) {
    if (children[i4] != null) {
      const key = getKey(children[i4], i4.toString(36));
      out[key] = children[i4];
    }
  }
  return out;
}
function mergeChildMappings(prev, next) {
  prev = prev || {};
  next = next || {};
  const getValueForKey = (key) => Object.hasOwn(next, key) ? next[key] : prev[key];
  const nextKeysPending = {};
  let pendingKeys = [];
  for (const prevKey in prev) {
    if (Object.hasOwn(next, prevKey)) {
      if (pendingKeys.length) {
        nextKeysPending[prevKey] = pendingKeys;
        pendingKeys = [];
      }
    } else {
      pendingKeys.push(prevKey);
    }
  }
  const childMapping = {};
  for (const nextKey in next) {
    if (Object.hasOwn(nextKeysPending, nextKey)) {
      for (let i4 = 0; i4 < nextKeysPending[nextKey].length; i4++) {
        const pendingNextKey = nextKeysPending[nextKey][i4];
        childMapping[nextKeysPending[nextKey][i4]] = getValueForKey(pendingNextKey);
      }
    }
    childMapping[nextKey] = getValueForKey(nextKey);
  }
  for (let i4 = 0; i4 < pendingKeys.length; i4++) {
    childMapping[pendingKeys[i4]] = getValueForKey(pendingKeys[i4]);
  }
  return childMapping;
}
var identity = (i4) => i4;
var TransitionGroup = class extends C {
  constructor(props, context) {
    super(props, context);
    this.refs = {};
    this.state = {
      children: getChildMapping(F(F(this.props.children)) || [])
    };
    this.performAppear = this.performAppear.bind(this);
    this.performEnter = this.performEnter.bind(this);
    this.performLeave = this.performLeave.bind(this);
  }
  componentWillMount() {
    this.currentlyTransitioningKeys = {};
    this.keysToAbortLeave = [];
    this.keysToEnter = [];
    this.keysToLeave = [];
  }
  componentDidMount() {
    const initialChildMapping = this.state.children;
    for (const key in initialChildMapping) {
      if (initialChildMapping[key]) {
        this.performAppear(key);
      }
    }
  }
  componentWillReceiveProps(nextProps) {
    const nextChildMapping = getChildMapping(F(nextProps.children) || []);
    const prevChildMapping = this.state.children;
    this.setState((prevState) => ({
      children: mergeChildMappings(prevState.children, nextChildMapping)
    }));
    let key;
    for (key in nextChildMapping) {
      if (Object.hasOwn(nextChildMapping, key)) {
        const hasPrev = prevChildMapping && Object.hasOwn(prevChildMapping, key);
        if (nextChildMapping[key] && hasPrev && this.currentlyTransitioningKeys[key]) {
          this.keysToEnter.push(key);
          this.keysToAbortLeave.push(key);
        } else if (nextChildMapping[key] && !hasPrev && !this.currentlyTransitioningKeys[key]) {
          this.keysToEnter.push(key);
        }
      }
    }
    for (key in prevChildMapping) {
      if (Object.hasOwn(prevChildMapping, key)) {
        const hasNext = nextChildMapping && Object.hasOwn(nextChildMapping, key);
        if (prevChildMapping[key] && !hasNext && !this.currentlyTransitioningKeys[key]) {
          this.keysToLeave.push(key);
        }
      }
    }
  }
  componentDidUpdate() {
    const { keysToEnter } = this;
    this.keysToEnter = [];
    keysToEnter.forEach(this.performEnter);
    const { keysToLeave } = this;
    this.keysToLeave = [];
    keysToLeave.forEach(this.performLeave);
  }
  _finishAbort(key) {
    const idx = this.keysToAbortLeave.indexOf(key);
    if (idx !== -1) {
      this.keysToAbortLeave.splice(idx, 1);
    }
  }
  performAppear(key) {
    this.currentlyTransitioningKeys[key] = true;
    const component = this.refs[key];
    if (component?.componentWillAppear) {
      component.componentWillAppear(this._handleDoneAppearing.bind(this, key));
    } else {
      this._handleDoneAppearing(key);
    }
  }
  _handleDoneAppearing(key) {
    const component = this.refs[key];
    if (component?.componentDidAppear) {
      component.componentDidAppear();
    }
    delete this.currentlyTransitioningKeys[key];
    this._finishAbort(key);
    const currentChildMapping = getChildMapping(F(this.props.children) || []);
    if (!currentChildMapping || !Object.hasOwn(currentChildMapping, key)) {
      this.performLeave(key);
    }
  }
  performEnter(key) {
    this.currentlyTransitioningKeys[key] = true;
    const component = this.refs[key];
    if (component?.componentWillEnter) {
      component.componentWillEnter(this._handleDoneEntering.bind(this, key));
    } else {
      this._handleDoneEntering(key);
    }
  }
  _handleDoneEntering(key) {
    const component = this.refs[key];
    if (component?.componentDidEnter) {
      component.componentDidEnter();
    }
    delete this.currentlyTransitioningKeys[key];
    this._finishAbort(key);
    const currentChildMapping = getChildMapping(F(this.props.children) || []);
    if (!currentChildMapping || !Object.hasOwn(currentChildMapping, key)) {
      this.performLeave(key);
    }
  }
  performLeave(key) {
    const idx = this.keysToAbortLeave.indexOf(key);
    if (idx !== -1) {
      return;
    }
    this.currentlyTransitioningKeys[key] = true;
    const component = this.refs[key];
    if (component?.componentWillLeave) {
      component.componentWillLeave(this._handleDoneLeaving.bind(this, key));
    } else {
      this._handleDoneLeaving(key);
    }
  }
  _handleDoneLeaving(key) {
    const idx = this.keysToAbortLeave.indexOf(key);
    if (idx !== -1) {
      return;
    }
    const component = this.refs[key];
    if (component?.componentDidLeave) {
      component.componentDidLeave();
    }
    delete this.currentlyTransitioningKeys[key];
    const currentChildMapping = getChildMapping(F(this.props.children) || []);
    if (currentChildMapping && Object.hasOwn(currentChildMapping, key)) {
      this.performEnter(key);
    } else {
      const children = assign({}, this.state.children);
      delete children[key];
      this.setState({ children });
    }
  }
  render({ childFactory, transitionLeave, transitionName: transitionName2, transitionAppear, transitionEnter, transitionLeaveTimeout, transitionEnterTimeout, transitionAppearTimeout, component, ...props }, { children }) {
    const childrenToRender = Object.entries(children).map(([key, child]) => {
      if (!child)
        return void 0;
      const ref = linkRef(this, key);
      return W(childFactory(child), { ref, key });
    }).filter(Boolean);
    return k(component, props, childrenToRender);
  }
};
TransitionGroup.defaultProps = {
  component: "span",
  childFactory: identity
};
var TransitionGroup_default = TransitionGroup;

// node_modules/uppy6-dashboard/lib/components/Informer/Informer.js
var Informer = class extends C {
  render() {
    const { info } = this.props.uppy.getState();
    return u2("div", { className: "uppy uppy-Informer", children: u2(TransitionGroup_default, { children: info.map((info2) => u2(FadeIn, { children: u2("p", { role: "alert", children: [info2.message, " ", info2.details && u2("span", { "aria-label": info2.details, "data-microtip-position": "top-left", "data-microtip-size": "medium", role: "tooltip", onClick: () => alert(`${info2.message} 

 ${info2.details}`), children: "?" })] }) }, info2.message)) }) });
  }
};

// node_modules/uppy6-dashboard/lib/components/PickerPanelContent.js
var import_classnames12 = __toESM(require_classnames(), 1);
function PickerPanelContent({ activePickerPanel, className, hideAllPanels, i18n, state, uppy: uppy2 }) {
  const ref = A2(null);
  const activePlugin = uppy2.getPlugin(activePickerPanel.id);
  const leaveToDashboard = (event) => {
    const target2 = event.target;
    return Boolean(activePlugin?.acceptsFileDrops) && Boolean(event.dataTransfer?.types.includes("Files")) && target2.closest("input, textarea, dialog") == null;
  };
  const ignoreDrag = (event) => {
    if (leaveToDashboard(event))
      return;
    ignoreEvent_default(event);
    if (event.type === "dragover" && event.defaultPrevented && event.dataTransfer)
      event.dataTransfer.dropEffect = "none";
  };
  return u2("div", { className: (0, import_classnames12.default)("uppy-DashboardContent-panel", className), role: "tabpanel", "data-uppy-panelType": "PickerPanel", id: `uppy-DashboardContent-panel--${activePickerPanel.id}`, onDragOver: ignoreDrag, onDragLeave: ignoreDrag, onDrop: ignoreDrag, onPaste: ignoreEvent_default, children: [u2("div", { className: "uppy-DashboardContent-bar", children: [u2("div", { className: "uppy-DashboardContent-title", role: "heading", "aria-level": 1, children: i18n("importFrom", { name: activePickerPanel.name }) }), u2("button", { className: "uppy-DashboardContent-back", type: "button", onClick: hideAllPanels, children: i18n("cancel") })] }), u2("div", { ref, className: "uppy-DashboardContent-panelBody", children: activePlugin?.render(state, ref.current) })] });
}
var PickerPanelContent_default = PickerPanelContent;

// node_modules/uppy6-dashboard/lib/components/PickerPanelTopBar.js
var uploadStates = {
  STATE_ERROR: "error",
  STATE_WAITING: "waiting",
  STATE_PREPROCESSING: "preprocessing",
  STATE_UPLOADING: "uploading",
  STATE_POSTPROCESSING: "postprocessing",
  STATE_COMPLETE: "complete",
  STATE_PAUSED: "paused"
};
function getUploadingState(isAllErrored, isAllComplete, isAllPaused, files = {}) {
  if (isAllErrored) {
    return uploadStates.STATE_ERROR;
  }
  if (isAllComplete) {
    return uploadStates.STATE_COMPLETE;
  }
  if (isAllPaused) {
    return uploadStates.STATE_PAUSED;
  }
  let state = uploadStates.STATE_WAITING;
  const fileIDs = Object.keys(files);
  for (let i4 = 0; i4 < fileIDs.length; i4++) {
    const { progress } = files[fileIDs[i4]];
    if (progress.uploadStarted && !progress.uploadComplete) {
      return uploadStates.STATE_UPLOADING;
    }
    if (progress.preprocess) {
      state = uploadStates.STATE_PREPROCESSING;
    }
    if (progress.postprocess && state !== uploadStates.STATE_PREPROCESSING) {
      state = uploadStates.STATE_POSTPROCESSING;
    }
  }
  return state;
}
function UploadStatus({ files, i18n, isAllComplete, isAllErrored, isAllPaused, inProgressNotPausedFiles, newFiles, processingFiles }) {
  const uploadingState = getUploadingState(isAllErrored, isAllComplete, isAllPaused, files);
  switch (uploadingState) {
    case "uploading":
      return i18n("uploadingXFiles", {
        smart_count: inProgressNotPausedFiles.length
      });
    case "preprocessing":
    case "postprocessing":
      return i18n("processingXFiles", { smart_count: processingFiles.length });
    case "paused":
      return i18n("uploadPaused");
    case "waiting":
      return i18n("xFilesSelected", { smart_count: newFiles.length });
    case "complete":
      return i18n("uploadComplete");
    case "error":
      return i18n("error");
  }
}
function PanelTopBar(props) {
  const { i18n, isAllComplete, hideCancelButton, maxNumberOfFiles, toggleAddFilesPanel, totalFileCount, uppy: uppy2 } = props;
  let { allowNewUpload } = props;
  if (allowNewUpload && maxNumberOfFiles) {
    allowNewUpload = totalFileCount < maxNumberOfFiles;
  }
  return u2("div", { className: "uppy-DashboardContent-bar", children: [!isAllComplete && !hideCancelButton ? u2("button", { className: "uppy-DashboardContent-back", type: "button", onClick: () => uppy2.cancelAll(), children: i18n("cancel") }) : u2("div", {}), u2("div", { className: "uppy-DashboardContent-title", children: u2(UploadStatus, { ...props }) }), allowNewUpload ? u2("button", { className: "uppy-DashboardContent-addMore", type: "button", "aria-label": i18n("addMoreFiles"), title: i18n("addMoreFiles"), onClick: () => toggleAddFilesPanel(true), children: [u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "15", height: "15", viewBox: "0 0 15 15", children: u2("path", { d: "M8 6.5h6a.5.5 0 0 1 .5.5v.5a.5.5 0 0 1-.5.5H8v6a.5.5 0 0 1-.5.5H7a.5.5 0 0 1-.5-.5V8h-6a.5.5 0 0 1-.5-.5V7a.5.5 0 0 1 .5-.5h6v-6A.5.5 0 0 1 7 0h.5a.5.5 0 0 1 .5.5v6z" }) }), u2("span", { className: "uppy-DashboardContent-addMoreCaption", children: i18n("addMore") })] }) : u2("div", {})] });
}
var PickerPanelTopBar_default = PanelTopBar;

// node_modules/uppy6-dashboard/lib/components/Slide.js
var import_classnames13 = __toESM(require_classnames(), 1);
var transitionName = "uppy-transition-slideDownUp";
var duration = 250;
function Slide({ children }) {
  const [cachedChildren, setCachedChildren] = d2(null);
  const [className, setClassName] = d2("");
  const enterTimeoutRef = A2();
  const leaveTimeoutRef = A2();
  const animationFrameRef = A2();
  const handleEnterTransition = q2(() => {
    setClassName(`${transitionName}-enter`);
    cancelAnimationFrame(animationFrameRef.current);
    clearTimeout(leaveTimeoutRef.current);
    leaveTimeoutRef.current = void 0;
    animationFrameRef.current = requestAnimationFrame(() => {
      setClassName(`${transitionName}-enter ${transitionName}-enter-active`);
      enterTimeoutRef.current = setTimeout(() => {
        setClassName("");
      }, duration);
    });
  }, []);
  const handleLeaveTransition = q2(() => {
    setClassName(`${transitionName}-leave`);
    cancelAnimationFrame(animationFrameRef.current);
    clearTimeout(enterTimeoutRef.current);
    enterTimeoutRef.current = void 0;
    animationFrameRef.current = requestAnimationFrame(() => {
      setClassName(`${transitionName}-leave ${transitionName}-leave-active`);
      leaveTimeoutRef.current = setTimeout(() => {
        setCachedChildren(null);
        setClassName("");
      }, duration);
    });
  }, []);
  h2(() => {
    const child = F(children)[0];
    if (cachedChildren === child)
      return;
    if (child && !cachedChildren) {
      handleEnterTransition();
    } else if (cachedChildren && !child && !leaveTimeoutRef.current) {
      handleLeaveTransition();
    }
    setCachedChildren(child);
  }, [children, cachedChildren, handleEnterTransition, handleLeaveTransition]);
  h2(() => {
    return () => {
      clearTimeout(enterTimeoutRef.current);
      clearTimeout(leaveTimeoutRef.current);
      cancelAnimationFrame(animationFrameRef.current);
    };
  }, []);
  if (!cachedChildren)
    return null;
  return W(cachedChildren, {
    className: (0, import_classnames13.default)(className, cachedChildren.props.className)
  });
}
var Slide_default = Slide;

// node_modules/uppy6-dashboard/lib/components/StatusBar/StatusBarStates.js
var StatusBarStates_default = {
  STATE_ERROR: "error",
  STATE_WAITING: "waiting",
  STATE_PREPROCESSING: "preprocessing",
  STATE_UPLOADING: "uploading",
  STATE_POSTPROCESSING: "postprocessing",
  STATE_COMPLETE: "complete"
};

// node_modules/uppy6-dashboard/lib/components/StatusBar/StatusBarUI.js
var import_classnames15 = __toESM(require_classnames(), 1);

// node_modules/uppy6-dashboard/lib/components/StatusBar/Components.js
var import_classnames14 = __toESM(require_classnames(), 1);
var DOT = `\xB7`;
var renderDot = () => ` ${DOT} `;
function UploadBtn(props) {
  const { newFiles, isUploadStarted, recoveredState, i18n, uploadState, isSomeGhost, startUpload } = props;
  const uploadBtnClassNames = (0, import_classnames14.default)("uppy-u-reset", "uppy-c-btn", "uppy-StatusBar-actionBtn", "uppy-StatusBar-actionBtn--upload", {
    "uppy-c-btn-primary": uploadState === StatusBarStates_default.STATE_WAITING
  }, { "uppy-StatusBar-actionBtn--disabled": isSomeGhost });
  const uploadBtnText = newFiles && isUploadStarted && !recoveredState ? i18n("uploadXNewFiles", { smart_count: newFiles }) : i18n("uploadXFiles", { smart_count: newFiles });
  return u2("button", { type: "button", className: uploadBtnClassNames, "aria-label": i18n("uploadXFiles", { smart_count: newFiles }), onClick: startUpload, disabled: isSomeGhost, "data-uppy-super-focusable": true, children: uploadBtnText });
}
function RetryBtn(props) {
  const { i18n, uppy: uppy2 } = props;
  return u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-StatusBar-actionBtn uppy-StatusBar-actionBtn--retry", "aria-label": i18n("retryUpload"), onClick: () => uppy2.retryAll().catch(() => {
  }), "data-uppy-super-focusable": true, "data-cy": "retry", children: [u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "8", height: "10", viewBox: "0 0 8 10", children: u2("path", { d: "M4 2.408a2.75 2.75 0 1 0 2.75 2.75.626.626 0 0 1 1.25.018v.023a4 4 0 1 1-4-4.041V.25a.25.25 0 0 1 .389-.208l2.299 1.533a.25.25 0 0 1 0 .416l-2.3 1.533A.25.25 0 0 1 4 3.316v-.908z" }) }), i18n("retry")] });
}
function CancelBtn(props) {
  const { i18n, uppy: uppy2 } = props;
  return u2("button", { type: "button", className: "uppy-u-reset uppy-StatusBar-actionCircleBtn", title: i18n("cancel"), "aria-label": i18n("cancel"), onClick: () => uppy2.cancelAll(), "data-cy": "cancel", "data-uppy-super-focusable": true, children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "16", height: "16", viewBox: "0 0 16 16", children: u2("g", { fill: "none", fillRule: "evenodd", children: [u2("circle", { fill: "#888", cx: "8", cy: "8", r: "8" }), u2("path", { fill: "#FFF", d: "M9.283 8l2.567 2.567-1.283 1.283L8 9.283 5.433 11.85 4.15 10.567 6.717 8 4.15 5.433 5.433 4.15 8 6.717l2.567-2.567 1.283 1.283z" })] }) }) });
}
function PauseResumeButton(props) {
  const { isAllPaused, i18n, isAllComplete, resumableUploads, uppy: uppy2 } = props;
  const title = isAllPaused ? i18n("resume") : i18n("pause");
  function togglePauseResume() {
    if (isAllComplete)
      return;
    if (!resumableUploads) {
      uppy2.cancelAll();
      return;
    }
    if (isAllPaused) {
      uppy2.resumeAll();
      return;
    }
    uppy2.pauseAll();
  }
  return u2("button", { title, "aria-label": title, className: "uppy-u-reset uppy-StatusBar-actionCircleBtn", type: "button", onClick: togglePauseResume, "data-cy": "togglePauseResume", "data-uppy-super-focusable": true, children: u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-c-icon", width: "16", height: "16", viewBox: "0 0 16 16", children: u2("g", { fill: "none", fillRule: "evenodd", children: [u2("circle", { fill: "#888", cx: "8", cy: "8", r: "8" }), u2("path", { fill: "#FFF", d: isAllPaused ? "M6 4.25L11.5 8 6 11.75z" : "M5 4.5h2v7H5v-7zm4 0h2v7H9v-7z" })] }) }) });
}
function DoneBtn(props) {
  const { i18n, doneButtonHandler } = props;
  return u2("button", { type: "button", className: "uppy-u-reset uppy-c-btn uppy-StatusBar-actionBtn uppy-StatusBar-actionBtn--done", onClick: doneButtonHandler, "data-uppy-super-focusable": true, children: i18n("done") });
}
function LoadingSpinner() {
  return u2("svg", { className: "uppy-StatusBar-spinner", "aria-hidden": "true", focusable: "false", width: "14", height: "14", children: u2("path", { d: "M13.983 6.547c-.12-2.509-1.64-4.893-3.939-5.936-2.48-1.127-5.488-.656-7.556 1.094C.524 3.367-.398 6.048.162 8.562c.556 2.495 2.46 4.52 4.94 5.183 2.932.784 5.61-.602 7.256-3.015-1.493 1.993-3.745 3.309-6.298 2.868-2.514-.434-4.578-2.349-5.153-4.84a6.226 6.226 0 0 1 2.98-6.778C6.34.586 9.74 1.1 11.373 3.493c.407.596.693 1.282.842 1.988.127.598.073 1.197.161 1.794.078.525.543 1.257 1.15.864.525-.341.49-1.05.456-1.592-.007-.15.02.3 0 0", fillRule: "evenodd" }) });
}
function ProgressBarProcessing(props) {
  const { progress } = props;
  const { value, mode, message } = progress;
  const dot = `\xB7`;
  return u2("div", { className: "uppy-StatusBar-content", children: [u2(LoadingSpinner, {}), mode === "determinate" ? `${Math.round(value * 100)}% ${dot} ` : "", message] });
}
function ProgressDetails(props) {
  const { numUploads, complete, totalUploadedSize, totalSize, totalETA, i18n } = props;
  const ifShowFilesUploadedOfTotal = numUploads > 1;
  const totalUploadedSizeStr = prettierBytes2(totalUploadedSize);
  return u2("div", { className: "uppy-StatusBar-statusSecondary", children: [ifShowFilesUploadedOfTotal && i18n("filesUploadedOfTotal", {
    complete,
    smart_count: numUploads
  }), u2("span", { className: "uppy-StatusBar-additionalInfo", children: [ifShowFilesUploadedOfTotal && renderDot(), totalSize != null ? i18n("dataUploadedOfTotal", {
    complete: totalUploadedSizeStr,
    total: prettierBytes2(totalSize)
  }) : i18n("dataUploadedOfUnknown", { complete: totalUploadedSizeStr }), renderDot(), totalETA != null && i18n("xTimeLeft", {
    time: prettyETA(totalETA)
  })] })] });
}
function FileUploadCount(props) {
  const { i18n, complete, numUploads } = props;
  return u2("div", { className: "uppy-StatusBar-statusSecondary", children: i18n("filesUploadedOfTotal", { complete, smart_count: numUploads }) });
}
function UploadNewlyAddedFiles(props) {
  const { i18n, newFiles, startUpload } = props;
  const uploadBtnClassNames = (0, import_classnames14.default)("uppy-u-reset", "uppy-c-btn", "uppy-StatusBar-actionBtn", "uppy-StatusBar-actionBtn--uploadNewlyAdded");
  return u2("div", { className: "uppy-StatusBar-statusSecondary", children: [u2("div", { className: "uppy-StatusBar-statusSecondaryHint", children: i18n("xMoreFilesAdded", { smart_count: newFiles }) }), u2("button", { type: "button", className: uploadBtnClassNames, "aria-label": i18n("uploadXFiles", { smart_count: newFiles }), onClick: startUpload, children: i18n("upload") })] });
}
function ProgressBarUploading(props) {
  const { i18n, supportsUploadProgress: supportsUploadProgress2, totalProgress, hideProgressDetails, isUploadStarted, isAllComplete, isAllPaused, newFiles, numUploads, complete, totalUploadedSize, totalSize, totalETA, startUpload } = props;
  const showUploadNewlyAddedFiles = newFiles && isUploadStarted;
  if (!isUploadStarted || isAllComplete) {
    return null;
  }
  const title = isAllPaused ? i18n("paused") : i18n("uploading");
  function renderProgressDetails() {
    if (!isAllPaused && !showUploadNewlyAddedFiles && !hideProgressDetails) {
      if (supportsUploadProgress2) {
        return u2(ProgressDetails, { numUploads, complete, totalUploadedSize, totalSize, totalETA, i18n });
      }
      return u2(FileUploadCount, { i18n, complete, numUploads });
    }
    return null;
  }
  return u2("div", { className: "uppy-StatusBar-content", title, children: [!isAllPaused ? u2(LoadingSpinner, {}) : null, u2("div", { className: "uppy-StatusBar-status", children: [u2("div", { className: "uppy-StatusBar-statusPrimary", children: supportsUploadProgress2 && totalProgress !== 0 ? `${title}: ${totalProgress}%` : title }), renderProgressDetails(), showUploadNewlyAddedFiles ? u2(UploadNewlyAddedFiles, { i18n, newFiles, startUpload }) : null] })] });
}
function ProgressBarComplete(props) {
  const { i18n } = props;
  return u2("div", { className: "uppy-StatusBar-content", role: "status", title: i18n("complete"), children: u2("div", { className: "uppy-StatusBar-status", children: u2("div", { className: "uppy-StatusBar-statusPrimary", children: [u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-StatusBar-statusIndicator uppy-c-icon", width: "15", height: "11", viewBox: "0 0 15 11", children: u2("path", { d: "M.414 5.843L1.627 4.63l3.472 3.472L13.202 0l1.212 1.213L5.1 10.528z" }) }), i18n("complete")] }) }) });
}
function ProgressBarError(props) {
  const { error, i18n, complete, numUploads } = props;
  function displayErrorAlert() {
    const errorMessage = `${i18n("uploadFailed")} 

 ${error}`;
    alert(errorMessage);
  }
  return u2("div", { className: "uppy-StatusBar-content", title: i18n("uploadFailed"), children: [u2("svg", { "aria-hidden": "true", focusable: "false", className: "uppy-StatusBar-statusIndicator uppy-c-icon", width: "11", height: "11", viewBox: "0 0 11 11", children: u2("path", { d: "M4.278 5.5L0 1.222 1.222 0 5.5 4.278 9.778 0 11 1.222 6.722 5.5 11 9.778 9.778 11 5.5 6.722 1.222 11 0 9.778z" }) }), u2("div", { className: "uppy-StatusBar-status", children: [u2("div", { className: "uppy-StatusBar-statusPrimary", children: [i18n("uploadFailed"), u2("button", { className: "uppy-u-reset uppy-StatusBar-details", "aria-label": i18n("showErrorDetails"), "data-microtip-position": "top-right", "data-microtip-size": "medium", onClick: displayErrorAlert, type: "button", children: "?" })] }), u2(FileUploadCount, { i18n, complete, numUploads })] })] });
}

// node_modules/uppy6-dashboard/lib/components/StatusBar/calculateProcessingProgress.js
function calculateProcessingProgress(files) {
  const values = [];
  let mode = "indeterminate";
  let message;
  for (const { progress } of Object.values(files)) {
    const { preprocess, postprocess } = progress;
    if (message == null && (preprocess || postprocess)) {
      ;
      ({ mode, message } = preprocess || postprocess);
    }
    if (preprocess?.mode === "determinate")
      values.push(preprocess.value);
    if (postprocess?.mode === "determinate")
      values.push(postprocess.value);
  }
  const value = values.reduce((total, progressValue) => {
    return total + progressValue / values.length;
  }, 0);
  return {
    mode,
    message,
    value
  };
}

// node_modules/uppy6-dashboard/lib/components/StatusBar/StatusBarUI.js
var { STATE_ERROR, STATE_WAITING, STATE_PREPROCESSING, STATE_UPLOADING, STATE_POSTPROCESSING, STATE_COMPLETE } = StatusBarStates_default;
function StatusBarUI({ newFiles, allowNewUpload, isUploadInProgress, isAllPaused, resumableUploads, error, hideUploadButton = void 0, hidePauseResumeButton = false, hideCancelButton = false, hideRetryButton = false, recoveredState, uploadState, totalProgress, files, supportsUploadProgress: supportsUploadProgress2, hideAfterFinish = false, isSomeGhost, doneButtonHandler = void 0, isUploadStarted, i18n, startUpload, uppy: uppy2, isAllComplete, hideProgressDetails = void 0, numUploads, complete, totalSize, totalETA, totalUploadedSize }) {
  function getProgressValue() {
    switch (uploadState) {
      case STATE_POSTPROCESSING:
      case STATE_PREPROCESSING: {
        const progress = calculateProcessingProgress(files);
        if (progress.mode === "determinate") {
          return progress.value * 100;
        }
        return totalProgress;
      }
      case STATE_ERROR: {
        return null;
      }
      case STATE_UPLOADING: {
        if (!supportsUploadProgress2) {
          return null;
        }
        return totalProgress;
      }
      default:
        return totalProgress;
    }
  }
  function getIsIndeterminate() {
    switch (uploadState) {
      case STATE_POSTPROCESSING:
      case STATE_PREPROCESSING: {
        const { mode } = calculateProcessingProgress(files);
        return mode === "indeterminate";
      }
      case STATE_UPLOADING: {
        if (!supportsUploadProgress2) {
          return true;
        }
        return false;
      }
      default:
        return false;
    }
  }
  const progressValue = getProgressValue();
  const width = progressValue ?? 100;
  const showUploadBtn = !error && newFiles && (!isUploadInProgress && !isAllPaused || recoveredState) && allowNewUpload && !hideUploadButton;
  const showCancelBtn = !hideCancelButton && uploadState !== STATE_WAITING && uploadState !== STATE_COMPLETE;
  const showPauseResumeBtn = resumableUploads && !hidePauseResumeButton && uploadState === STATE_UPLOADING;
  const showRetryBtn = error && !isAllComplete && !hideRetryButton;
  const showDoneBtn = doneButtonHandler && uploadState === STATE_COMPLETE;
  const progressClassNames = (0, import_classnames15.default)("uppy-StatusBar-progress", {
    "is-indeterminate": getIsIndeterminate()
  });
  const statusBarClassNames = (0, import_classnames15.default)("uppy-StatusBar", `is-${uploadState}`, { "has-ghosts": isSomeGhost });
  const progressBarStateEl = (() => {
    switch (uploadState) {
      case STATE_PREPROCESSING:
      case STATE_POSTPROCESSING:
        return u2(ProgressBarProcessing, { progress: calculateProcessingProgress(files) });
      case STATE_COMPLETE:
        return u2(ProgressBarComplete, { i18n });
      case STATE_ERROR:
        return u2(ProgressBarError, { error, i18n, numUploads, complete });
      case STATE_UPLOADING:
        return u2(ProgressBarUploading, { i18n, supportsUploadProgress: supportsUploadProgress2, totalProgress, hideProgressDetails, isUploadStarted, isAllComplete, isAllPaused, newFiles, numUploads, complete, totalUploadedSize, totalSize, totalETA, startUpload });
      default:
        return null;
    }
  })();
  const atLeastOneAction = showUploadBtn || showRetryBtn || showPauseResumeBtn || showCancelBtn || showDoneBtn;
  const thereIsNothingInside = !atLeastOneAction && !progressBarStateEl;
  const isHidden = thereIsNothingInside || uploadState === STATE_COMPLETE && hideAfterFinish;
  if (isHidden) {
    return null;
  }
  return u2("div", { className: statusBarClassNames, children: [u2("div", { className: progressClassNames, style: { width: `${width}%` }, role: "progressbar", "aria-label": `${width}%`, "aria-valuetext": `${width}%`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": progressValue }), progressBarStateEl, u2("div", { className: "uppy-StatusBar-actions", children: [showUploadBtn ? u2(UploadBtn, { newFiles, isUploadStarted, recoveredState, i18n, isSomeGhost, startUpload, uploadState }) : null, showRetryBtn ? u2(RetryBtn, { i18n, uppy: uppy2 }) : null, showPauseResumeBtn ? u2(PauseResumeButton, { isAllPaused, i18n, isAllComplete, resumableUploads, uppy: uppy2 }) : null, showCancelBtn ? u2(CancelBtn, { i18n, uppy: uppy2 }) : null, showDoneBtn ? u2(DoneBtn, { i18n, doneButtonHandler }) : null] })] });
}

// node_modules/uppy6-dashboard/lib/components/StatusBar/StatusBar.js
var speedFilterHalfLife = 2e3;
var ETAFilterHalfLife = 2e3;
function getUploadingState2(error, isAllComplete, recoveredState, files) {
  if (error) {
    return StatusBarStates_default.STATE_ERROR;
  }
  if (isAllComplete) {
    return StatusBarStates_default.STATE_COMPLETE;
  }
  if (recoveredState) {
    return StatusBarStates_default.STATE_WAITING;
  }
  let state = StatusBarStates_default.STATE_WAITING;
  const fileIDs = Object.keys(files);
  for (let i4 = 0; i4 < fileIDs.length; i4++) {
    const { progress } = files[fileIDs[i4]];
    if (progress.uploadStarted && !progress.uploadComplete) {
      return StatusBarStates_default.STATE_UPLOADING;
    }
    if (progress.preprocess) {
      state = StatusBarStates_default.STATE_PREPROCESSING;
    }
    if (progress.postprocess && state !== StatusBarStates_default.STATE_PREPROCESSING) {
      state = StatusBarStates_default.STATE_POSTPROCESSING;
    }
  }
  return state;
}
var StatusBar = class extends C {
  #lastUpdateTime;
  #previousUploadedBytes;
  #previousSpeed;
  #previousETA;
  componentDidMount() {
    this.#lastUpdateTime = performance.now();
    this.#previousUploadedBytes = this.props.uppy.getFiles().reduce((pv, file) => pv + (file.progress.bytesUploaded || 0), 0);
    this.props.uppy.on("upload", this.#onUploadStart);
  }
  componentWillUnmount() {
    this.props.uppy.off("upload", this.#onUploadStart);
  }
  #onUploadStart = () => {
    const { recoveredState } = this.props.uppy.getState();
    this.#previousSpeed = null;
    this.#previousETA = null;
    if (recoveredState) {
      this.#previousUploadedBytes = Object.values(recoveredState.files).reduce((pv, { progress }) => pv + (progress.bytesUploaded || 0), 0);
      return;
    }
    this.#lastUpdateTime = performance.now();
    this.#previousUploadedBytes = 0;
  };
  #computeSmoothETA(totalBytes) {
    if (totalBytes.total == null || totalBytes.total === 0) {
      return null;
    }
    const remaining = totalBytes.total - totalBytes.uploaded;
    if (remaining <= 0) {
      return null;
    }
    this.#lastUpdateTime ??= performance.now();
    const dt = performance.now() - this.#lastUpdateTime;
    if (dt === 0) {
      return Math.round((this.#previousETA ?? 0) / 100) / 10;
    }
    if (this.#previousUploadedBytes == null) {
      this.#previousUploadedBytes = totalBytes.uploaded;
      return null;
    }
    const uploadedBytesSinceLastTick = totalBytes.uploaded - this.#previousUploadedBytes;
    this.#previousUploadedBytes = totalBytes.uploaded;
    if (uploadedBytesSinceLastTick <= 0) {
      return Math.round((this.#previousETA ?? 0) / 100) / 10;
    }
    const currentSpeed = uploadedBytesSinceLastTick / dt;
    if (!Number.isFinite(currentSpeed) || currentSpeed <= 0) {
      return null;
    }
    const filteredSpeed = this.#previousSpeed == null ? currentSpeed : emaFilter(currentSpeed, this.#previousSpeed, speedFilterHalfLife, dt);
    if (!Number.isFinite(filteredSpeed) || filteredSpeed <= 0) {
      return null;
    }
    this.#previousSpeed = filteredSpeed;
    const instantETA = remaining / filteredSpeed;
    if (!Number.isFinite(instantETA) || instantETA < 0) {
      return null;
    }
    const updatedPreviousETA = Math.max((this.#previousETA ?? 0) - dt, 0);
    const filteredETA = this.#previousETA == null ? instantETA : emaFilter(instantETA, updatedPreviousETA, ETAFilterHalfLife, dt);
    if (!Number.isFinite(filteredETA) || filteredETA < 0) {
      return null;
    }
    this.#previousETA = filteredETA;
    this.#lastUpdateTime = performance.now();
    return Math.round(filteredETA / 100) / 10;
  }
  startUpload = () => {
    const { recoveredState } = this.props.uppy.getState();
    if (recoveredState) {
      this.props.uppy.emit("restore-confirmed");
    } else {
      this.props.uppy.upload().catch((() => {
      }));
    }
  };
  render() {
    const { capabilities, files, allowNewUpload, totalProgress, error, recoveredState } = this.props.uppy.getState();
    const { newFiles, startedFiles, completeFiles, isUploadStarted, isAllComplete, isAllPaused, isUploadInProgress, isSomeGhost } = this.props.uppy.getObjectOfFilesPerState();
    const newFilesOrRecovered = recoveredState ? Object.values(files) : newFiles;
    const resumableUploads = !!capabilities.resumableUploads;
    const supportsUploadProgress2 = capabilities.uploadProgress !== false;
    let totalSize = null;
    let totalUploadedSize = 0;
    if (startedFiles.every((f5) => f5.progress.bytesTotal != null && f5.progress.bytesTotal !== 0)) {
      totalSize = 0;
      startedFiles.forEach((file) => {
        totalSize += file.progress.bytesTotal || 0;
        totalUploadedSize += file.progress.bytesUploaded || 0;
      });
    } else {
      startedFiles.forEach((file) => {
        totalUploadedSize += file.progress.bytesUploaded || 0;
      });
    }
    const totalETA = this.#computeSmoothETA({
      uploaded: totalUploadedSize,
      total: totalSize
    });
    return u2(StatusBarUI, { error, uploadState: getUploadingState2(error, isAllComplete, recoveredState, files || {}), allowNewUpload, totalProgress, totalSize, totalUploadedSize, isAllComplete, isAllPaused, isUploadStarted, isUploadInProgress, isSomeGhost, recoveredState, complete: completeFiles.length, newFiles: newFilesOrRecovered.length, numUploads: startedFiles.length, totalETA, files, i18n: this.props.i18n, uppy: this.props.uppy, startUpload: this.startUpload, doneButtonHandler: this.props.doneButtonHandler, resumableUploads, supportsUploadProgress: supportsUploadProgress2, hideProgressDetails: this.props.hideProgressDetails, hideUploadButton: this.props.hideUploadButton, hideRetryButton: this.props.hideRetryButton, hidePauseResumeButton: this.props.hidePauseResumeButton, hideCancelButton: this.props.hideCancelButton, hideAfterFinish: this.props.hideAfterFinish });
  }
};

// node_modules/uppy6-dashboard/lib/components/Dashboard.js
var WIDTH_XL = 900;
var WIDTH_LG = 700;
var WIDTH_MD = 576;
var HEIGHT_MD = 330;
function Dashboard(props) {
  const { activePickerPanel, fileCardFor } = props;
  const isNoFiles = props.totalFileCount === 0;
  const isSingleFile = props.totalFileCount === 1;
  const isSizeHeightMD = props.containerHeight > HEIGHT_MD;
  const dashboardClassName = (0, import_classnames16.default)({
    "uppy-Dashboard": true,
    "uppy-Dashboard--isDisabled": props.disabled,
    "uppy-Dashboard--animateOpenClose": props.animateOpenClose,
    "uppy-Dashboard--isClosing": props.isClosing,
    "uppy-Dashboard--isDraggingOver": props.isDraggingOver,
    "uppy-Dashboard--modal": !props.inline,
    "uppy-size--md": props.containerWidth > WIDTH_MD,
    "uppy-size--lg": props.containerWidth > WIDTH_LG,
    "uppy-size--xl": props.containerWidth > WIDTH_XL,
    "uppy-size--height-md": props.containerHeight > HEIGHT_MD,
    // We might want to enable this in the future
    // 'uppy-size--height-lg': props.containerHeight > HEIGHT_LG,
    // 'uppy-size--height-xl': props.containerHeight > HEIGHT_XL,
    "uppy-Dashboard--isAddFilesPanelVisible": props.showAddFilesPanel,
    "uppy-Dashboard--isInnerWrapVisible": props.areInsidesReadyToBeVisible,
    // Only enable “centered single file” mode when Dashboard is tall enough
    "uppy-Dashboard--singleFile": props.singleFileFullScreen && isSingleFile && isSizeHeightMD
  });
  let itemsPerRow = 1;
  if (props.containerWidth > WIDTH_XL) {
    itemsPerRow = 5;
  } else if (props.containerWidth > WIDTH_LG) {
    itemsPerRow = 4;
  } else if (props.containerWidth > WIDTH_MD) {
    itemsPerRow = 3;
  }
  const showFileList = props.showSelectedFiles && !isNoFiles;
  const numberOfFilesForRecovery = props.recoveredState ? Object.keys(props.recoveredState.files).length : null;
  const numberOfGhosts = props.files ? Object.keys(props.files).filter((fileID) => props.files[fileID].isGhost).length : 0;
  const renderRestoredText = () => {
    if (numberOfGhosts > 0) {
      return props.i18n("recoveredXFiles", {
        smart_count: numberOfGhosts
      });
    }
    return props.i18n("recoveredAllFiles");
  };
  const dashboard = u2("div", { className: dashboardClassName, "data-uppy-theme": props.theme, "data-uppy-num-acquirers": props.acquirers.length, "data-uppy-drag-drop-supported": !props.disableLocalFiles && isDragDropSupported(), "aria-hidden": props.inline ? "false" : props.isHidden, "aria-disabled": props.disabled, "aria-label": !props.inline ? props.i18n("dashboardWindowTitle") : props.i18n("dashboardTitle"), onPaste: props.handlePaste, onDragOver: props.handleDragOver, onDragLeave: props.handleDragLeave, onDrop: props.handleDrop, children: [u2("div", { "aria-hidden": "true", className: "uppy-Dashboard-overlay", tabIndex: -1, onClick: props.handleClickOutside }), u2("div", { className: "uppy-Dashboard-inner", role: props.inline ? void 0 : "dialog", style: {
    width: props.inline && props.width ? props.width : "",
    height: props.inline && props.height ? props.height : ""
  }, children: [!props.inline ? u2("button", { className: "uppy-u-reset uppy-Dashboard-close", type: "button", "aria-label": props.i18n("closeModal"), title: props.i18n("closeModal"), onClick: props.closeModal, children: u2("span", { "aria-hidden": "true", children: "\xD7" }) }) : null, u2("div", { className: "uppy-Dashboard-innerWrap", children: [u2("div", { className: "uppy-Dashboard-dropFilesHereHint", children: props.i18n("dropHint") }), showFileList && u2(PickerPanelTopBar_default, { ...props }), numberOfFilesForRecovery != null && numberOfFilesForRecovery > 0 && u2("div", { className: "uppy-Dashboard-serviceMsg", children: [u2("svg", { className: "uppy-Dashboard-serviceMsg-icon", "aria-hidden": "true", focusable: "false", width: "21", height: "16", viewBox: "0 0 24 19", children: u2("g", { transform: "translate(0 -1)", fill: "none", fillRule: "evenodd", children: [u2("path", { d: "M12.857 1.43l10.234 17.056A1 1 0 0122.234 20H1.766a1 1 0 01-.857-1.514L11.143 1.429a1 1 0 011.714 0z", fill: "#FFD300" }), u2("path", { fill: "#000", d: "M11 6h2l-.3 8h-1.4z" }), u2("circle", { fill: "#000", cx: "12", cy: "17", r: "1" })] }) }), u2("strong", { className: "uppy-Dashboard-serviceMsg-title", children: props.i18n("sessionRestored") }), u2("div", { className: "uppy-Dashboard-serviceMsg-text", children: renderRestoredText() })] }), showFileList ? u2(FileList, { id: props.id, i18n: props.i18n, uppy: props.uppy, files: props.files, resumableUploads: props.resumableUploads, hideRetryButton: props.hideRetryButton, hidePauseResumeButton: props.hidePauseResumeButton, hideCancelButton: props.hideCancelButton, showLinkToFileUploadResult: props.showLinkToFileUploadResult, showRemoveButtonAfterComplete: props.showRemoveButtonAfterComplete, metaFields: props.metaFields, toggleFileCard: props.toggleFileCard, handleRequestThumbnail: props.handleRequestThumbnail, handleCancelThumbnail: props.handleCancelThumbnail, recoveredState: props.recoveredState, individualCancellation: props.individualCancellation, openFileEditor: props.openFileEditor, canEditFile: props.canEditFile, toggleAddFilesPanel: props.toggleAddFilesPanel, isSingleFile, itemsPerRow, containerWidth: props.containerWidth, containerHeight: props.containerHeight }) : u2(AddFiles_default, { i18n: props.i18n, i18nArray: props.i18nArray, acquirers: props.acquirers, handleInputChange: props.handleInputChange, maxNumberOfFiles: props.maxNumberOfFiles, allowedFileTypes: props.allowedFileTypes, showNativePhotoCameraButton: props.showNativePhotoCameraButton, showNativeVideoCameraButton: props.showNativeVideoCameraButton, nativeCameraFacingMode: props.nativeCameraFacingMode, showPanel: props.showPanel, activePickerPanel: props.activePickerPanel, disableLocalFiles: props.disableLocalFiles, fileManagerSelectionType: props.fileManagerSelectionType, note: props.note, proudlyDisplayPoweredByUppy: props.proudlyDisplayPoweredByUppy }), u2(Slide_default, { children: props.showAddFilesPanel ? u2(AddFilesPanel_default, { ...props }, "AddFiles") : null }), u2(Slide_default, { children: fileCardFor ? u2(FileCard, { ...props, fileCardFor }, "FileCard") : null }), u2(Slide_default, { children: activePickerPanel ? u2(PickerPanelContent_default, { ...props, activePickerPanel }, "Picker") : null }), u2(Slide_default, { children: props.showFileEditor ? u2(EditorPanel_default, { ...props }, "Editor") : null }), u2("div", { className: "uppy-Dashboard-progressindicators", children: [!props.disableInformer && u2(Informer, { uppy: props.uppy }), !props.disableStatusBar && u2(StatusBar, { uppy: props.uppy, i18n: props.i18n, hideProgressDetails: props.hideProgressDetails, hideUploadButton: props.hideUploadButton, hideRetryButton: props.hideRetryButton, hidePauseResumeButton: props.hidePauseResumeButton, hideCancelButton: props.hideCancelButton, hideAfterFinish: props.hideProgressAfterFinish, doneButtonHandler: props.doneButtonHandler }), !props.disableInformer && u2(Informer, { uppy: props.uppy }), props.progressindicators.map((target2) => {
    return props.uppy.getPlugin(target2.id).render(props.state);
  })] })] })] })] });
  return dashboard;
}

// node_modules/uppy6-dashboard/lib/locale.js
var locale_default3 = {
  strings: {
    // When `inline: false`, used as the screen reader label for the button that closes the modal.
    closeModal: "Close Modal",
    // Used as the screen reader label for the plus (+) button that shows the “Add more files” screen
    addMoreFiles: "Add more files",
    addingMoreFiles: "Adding more files",
    // Used as the header for import panels, e.g., “Import from Google Drive”.
    importFrom: "Import from %{name}",
    // When `inline: false`, used as the screen reader label for the dashboard modal.
    dashboardWindowTitle: "Uppy Dashboard Window (Press escape to close)",
    // When `inline: true`, used as the screen reader label for the dashboard area.
    dashboardTitle: "Uppy Dashboard",
    // Shown in the Informer when a link to a file was copied to the clipboard.
    copyLinkToClipboardSuccess: "Link copied to clipboard.",
    // Used when a link cannot be copied automatically — the user has to select the text from the
    // input element below this string.
    copyLinkToClipboardFallback: "Copy the URL below",
    // Used as the hover title and screen reader label for buttons that copy a file link.
    copyLink: "Copy link",
    back: "Back",
    // Used as the screen reader label for buttons that remove a file.
    removeFile: "Remove file",
    // Used as the screen reader label for buttons that open the metadata editor panel for a file.
    editFile: "Edit file",
    editImage: "Edit image",
    // Shown in the panel header for the metadata editor. Rendered as “Editing image.png”.
    editing: "Editing %{file}",
    // Shown on the main upload screen when an upload error occurs
    error: "Error",
    // Used as the screen reader label for the button that saves metadata edits and returns to the
    // file list view.
    finishEditingFile: "Finish editing file",
    saveChanges: "Save changes",
    // Used as the label for the tab button that opens the system file selection dialog.
    myDevice: "My Device",
    dropHint: "Drop your files here",
    // Used as the hover text and screen reader label for file progress indicators when
    // they have been fully uploaded.
    uploadComplete: "Upload complete",
    uploadPaused: "Upload paused",
    // Used as the hover text and screen reader label for the buttons to resume paused uploads.
    resumeUpload: "Resume upload",
    // Used as the hover text and screen reader label for the buttons to pause uploads.
    pauseUpload: "Pause upload",
    // Used as the hover text and screen reader label for the buttons to retry failed uploads.
    retryUpload: "Retry upload",
    // Used as the hover text and screen reader label for the buttons to cancel uploads.
    cancelUpload: "Cancel upload",
    // Used in a title, how many files are currently selected
    xFilesSelected: {
      0: "%{smart_count} file selected",
      1: "%{smart_count} files selected"
    },
    uploadingXFiles: {
      0: "Uploading %{smart_count} file",
      1: "Uploading %{smart_count} files"
    },
    processingXFiles: {
      0: "Processing %{smart_count} file",
      1: "Processing %{smart_count} files"
    },
    // The "powered by Uppy" link at the bottom of the Dashboard.
    poweredBy: "Powered by %{uppy}",
    addMore: "Add more",
    editFileWithFilename: "Edit file %{file}",
    save: "Save",
    cancel: "Cancel",
    dropPasteFiles: "Drop files here or %{browseFiles}",
    dropPasteFolders: "Drop files here or %{browseFolders}",
    dropPasteBoth: "Drop files here, %{browseFiles} or %{browseFolders}",
    dropPasteImportFiles: "Drop files here, %{browseFiles} or import from:",
    dropPasteImportFolders: "Drop files here, %{browseFolders} or import from:",
    dropPasteImportBoth: "Drop files here, %{browseFiles}, %{browseFolders} or import from:",
    importFiles: "Import files from:",
    browseFiles: "browse files",
    browseFolders: "browse folders",
    recoveredXFiles: {
      0: "We could not fully recover 1 file. Please re-select it and resume the upload.",
      1: "We could not fully recover %{smart_count} files. Please re-select them and resume the upload."
    },
    recoveredAllFiles: "We restored all files. You can now resume the upload.",
    sessionRestored: "Session restored",
    reSelect: "Re-select",
    missingRequiredMetaFields: {
      0: "Missing required meta field: %{fields}.",
      1: "Missing required meta fields: %{fields}."
    },
    // Used for native device camera buttons on mobile
    takePictureBtn: "Take Picture",
    recordVideoBtn: "Record Video",
    // Strings for StatusBar
    // Shown in the status bar while files are being uploaded.
    uploading: "Uploading",
    // Shown in the status bar once all files have been uploaded.
    complete: "Complete",
    // Shown in the status bar if an upload failed.
    uploadFailed: "Upload failed",
    // Shown in the status bar while the upload is paused.
    paused: "Paused",
    // Used as the label for the button that retries an upload.
    retry: "Retry",
    // Used as the label for the button that pauses an upload.
    pause: "Pause",
    // Used as the label for the button that resumes an upload.
    resume: "Resume",
    // Used as the label for the button that resets the upload state after an upload
    done: "Done",
    // When `hideProgressDetails` is set to false, shows the number of files that have been fully uploaded so far.
    filesUploadedOfTotal: {
      0: "%{complete} of %{smart_count} file uploaded",
      1: "%{complete} of %{smart_count} files uploaded"
    },
    // When `hideProgressDetails` is set to false, shows the amount of bytes that have been uploaded so far.
    dataUploadedOfTotal: "%{complete} of %{total}",
    dataUploadedOfUnknown: "%{complete} of unknown",
    // When `hideProgressDetails` is set to false, shows an estimation of how long the upload will take to complete.
    xTimeLeft: "%{time} left",
    // Used as the label for the button that starts an upload.
    uploadXFiles: {
      0: "Upload %{smart_count} file",
      1: "Upload %{smart_count} files"
    },
    // Used as the label for the button that starts an upload, if another upload has been started in the past
    // and new files were added later.
    uploadXNewFiles: {
      0: "Upload +%{smart_count} file",
      1: "Upload +%{smart_count} files"
    },
    upload: "Upload",
    xMoreFilesAdded: {
      0: "%{smart_count} more file added",
      1: "%{smart_count} more files added"
    },
    showErrorDetails: "Show error details"
  }
};

// node_modules/uppy6-dashboard/lib/utils/createSuperFocus.js
var import_debounce2 = __toESM(require_debounce(), 1);

// node_modules/uppy6-dashboard/lib/utils/getActiveOverlayEl.js
function getActiveOverlayEl(dashboardEl, activeOverlayType) {
  if (activeOverlayType) {
    const overlayEl = dashboardEl.querySelector(`[data-uppy-paneltype="${activeOverlayType}"]`);
    if (overlayEl)
      return overlayEl;
  }
  return dashboardEl;
}

// node_modules/uppy6-dashboard/lib/utils/createSuperFocus.js
function createSuperFocus() {
  let lastFocusWasOnSuperFocusableEl = false;
  return (0, import_debounce2.default)((dashboardEl, activeOverlayType) => {
    const overlayEl = getActiveOverlayEl(dashboardEl, activeOverlayType);
    const isFocusInOverlay2 = overlayEl.contains(document.activeElement);
    if (isFocusInOverlay2 && lastFocusWasOnSuperFocusableEl)
      return;
    const superFocusableEl = overlayEl.querySelector("[data-uppy-super-focusable]");
    if (isFocusInOverlay2 && !superFocusableEl)
      return;
    if (superFocusableEl) {
      superFocusableEl.focus({ preventScroll: true });
      lastFocusWasOnSuperFocusableEl = true;
    } else {
      const firstEl = overlayEl.querySelector(FOCUSABLE_ELEMENTS_default.join(","));
      firstEl?.focus({ preventScroll: true });
      lastFocusWasOnSuperFocusableEl = false;
    }
  }, 260);
}

// node_modules/uppy6-dashboard/lib/utils/trapFocus.js
function focusOnFirstNode(event, nodes) {
  const node = nodes[0];
  if (node) {
    node.focus();
    event.preventDefault();
  }
}
function focusOnLastNode(event, nodes) {
  const node = nodes[nodes.length - 1];
  if (node) {
    node.focus();
    event.preventDefault();
  }
}
function isFocusInOverlay(activeOverlayEl) {
  return activeOverlayEl.contains(document.activeElement);
}
function trapFocus(event, activeOverlayType, dashboardEl) {
  const activeOverlayEl = getActiveOverlayEl(dashboardEl, activeOverlayType);
  const focusableNodes = toArray_default(activeOverlayEl.querySelectorAll(FOCUSABLE_ELEMENTS_default.join(",")));
  const focusedItemIndex = focusableNodes.indexOf(document.activeElement);
  if (!isFocusInOverlay(activeOverlayEl)) {
    focusOnFirstNode(event, focusableNodes);
  } else if (event.shiftKey && focusedItemIndex === 0) {
    focusOnLastNode(event, focusableNodes);
  } else if (!event.shiftKey && focusedItemIndex === focusableNodes.length - 1) {
    focusOnFirstNode(event, focusableNodes);
  }
}
function forInline(event, activeOverlayType, dashboardEl) {
  if (activeOverlayType === null) {
  } else {
    trapFocus(event, activeOverlayType, dashboardEl);
  }
}

// node_modules/uppy6-dashboard/lib/Dashboard.js
var TAB_KEY = 9;
var ESC_KEY = 27;
function createPromise() {
  const o4 = {};
  o4.promise = new Promise((resolve, reject) => {
    o4.resolve = resolve;
    o4.reject = reject;
  });
  return o4;
}
var defaultOptions3 = {
  target: "body",
  metaFields: [],
  thumbnailWidth: 280,
  thumbnailType: "image/jpeg",
  waitForThumbnailsBeforeUpload: false,
  defaultPickerIcon,
  showLinkToFileUploadResult: false,
  hideProgressDetails: false,
  hideUploadButton: false,
  hideCancelButton: false,
  hideRetryButton: false,
  hidePauseResumeButton: false,
  hideProgressAfterFinish: false,
  note: null,
  singleFileFullScreen: true,
  disableStatusBar: false,
  disableInformer: false,
  disableThumbnailGenerator: false,
  fileManagerSelectionType: "files",
  proudlyDisplayPoweredByUppy: true,
  showSelectedFiles: true,
  showRemoveButtonAfterComplete: false,
  showNativePhotoCameraButton: false,
  showNativeVideoCameraButton: false,
  theme: "light",
  autoOpen: null,
  disabled: false,
  disableLocalFiles: false,
  nativeCameraFacingMode: "",
  onDragLeave: () => {
  },
  onDragOver: () => {
  },
  onDrop: () => {
  },
  plugins: [],
  // Dynamic default options, they have to be defined in the constructor (because
  // they require access to the `this` keyword), but we still want them to
  // appear in the default options so TS knows they'll be defined.
  doneButtonHandler: void 0,
  onRequestCloseModal: null,
  // defaultModalOptions
  inline: false,
  animateOpenClose: true,
  browserBackButtonClose: false,
  closeAfterFinish: false,
  closeModalOnClickOutside: false,
  disablePageScrollWhenModalOpen: true,
  trigger: null,
  // defaultInlineOptions
  width: 750,
  height: 550
};
var Dashboard2 = class extends UIPlugin_default {
  static VERSION = package_default3.version;
  #disabledNodes;
  modalName = `uppy-Dashboard-${nanoid2()}`;
  superFocus = createSuperFocus();
  ifFocusedOnUppyRecently = false;
  dashboardIsDisabled;
  savedActiveElement;
  resizeObserver;
  darkModeMediaQuery;
  // Timeouts
  makeDashboardInsidesVisibleAnywayTimeout;
  constructor(uppy2, opts) {
    const autoOpen = opts?.autoOpen ?? null;
    super(uppy2, { ...defaultOptions3, ...opts, autoOpen });
    this.id = this.opts.id || "Dashboard";
    this.title = "Dashboard";
    this.type = "orchestrator";
    this.defaultLocale = locale_default3;
    if (this.opts.doneButtonHandler === void 0) {
      this.opts.doneButtonHandler = () => {
        this.uppy.clear();
        this.requestCloseModal();
      };
    }
    this.opts.onRequestCloseModal ??= () => this.closeModal();
    this.i18nInit();
  }
  removeTarget = (plugin) => {
    const pluginState = this.getPluginState();
    const newTargets = pluginState.targets.filter((target2) => target2.id !== plugin.id);
    this.setPluginState({
      targets: newTargets
    });
  };
  addTarget = (plugin) => {
    const callerPluginId = plugin.id || plugin.constructor.name;
    const callerPluginName = plugin.title || callerPluginId;
    const callerPluginType = plugin.type;
    if (callerPluginType !== "acquirer" && callerPluginType !== "progressindicator" && callerPluginType !== "editor") {
      const msg = "Dashboard: can only be targeted by plugins of types: acquirer, progressindicator, editor";
      this.uppy.log(msg, "error");
      return null;
    }
    const target2 = {
      id: callerPluginId,
      name: callerPluginName,
      type: callerPluginType
    };
    const state = this.getPluginState();
    const newTargets = state.targets.slice();
    newTargets.push(target2);
    this.setPluginState({
      targets: newTargets
    });
    return this.el;
  };
  hideAllPanels = () => {
    const state = this.getPluginState();
    const update = {
      activePickerPanel: void 0,
      showAddFilesPanel: false,
      activeOverlayType: null,
      fileCardFor: null,
      showFileEditor: false
    };
    if (state.activePickerPanel === update.activePickerPanel && state.showAddFilesPanel === update.showAddFilesPanel && state.showFileEditor === update.showFileEditor && state.activeOverlayType === update.activeOverlayType) {
      return;
    }
    this.setPluginState(update);
    this.uppy.emit("dashboard:close-panel", state.activePickerPanel?.id);
  };
  showPanel = (id) => {
    const { targets } = this.getPluginState();
    const activePickerPanel = targets.find((target2) => {
      return target2.type === "acquirer" && target2.id === id;
    });
    this.setPluginState({
      activePickerPanel,
      activeOverlayType: "PickerPanel"
    });
    this.uppy.emit("dashboard:show-panel", id);
  };
  canEditFile = (file) => {
    const { targets } = this.getPluginState();
    const editors = this.#getEditors(targets);
    return editors.some((target2) => this.uppy.getPlugin(target2.id).canEditFile(file));
  };
  openFileEditor = (file) => {
    const { targets } = this.getPluginState();
    const editors = this.#getEditors(targets);
    this.setPluginState({
      showFileEditor: true,
      fileCardFor: file.id || null,
      activeOverlayType: "FileEditor"
    });
    editors.forEach((editor) => {
      ;
      this.uppy.getPlugin(editor.id).selectFile(file);
    });
  };
  closeFileEditor = () => {
    const { metaFields } = this.getPluginState();
    const isMetaEditorEnabled = metaFields && metaFields.length > 0;
    if (isMetaEditorEnabled) {
      this.setPluginState({
        showFileEditor: false,
        activeOverlayType: "FileCard"
      });
    } else {
      this.setPluginState({
        showFileEditor: false,
        fileCardFor: null,
        activeOverlayType: "AddFiles"
      });
    }
  };
  saveFileEditor = () => {
    const { targets } = this.getPluginState();
    const editors = this.#getEditors(targets);
    editors.forEach((editor) => {
      ;
      this.uppy.getPlugin(editor.id).save();
    });
    this.closeFileEditor();
  };
  openModal = () => {
    const { promise, resolve } = createPromise();
    this.savedActiveElement = document.activeElement;
    if (this.opts.disablePageScrollWhenModalOpen) {
      document.body.classList.add("uppy-Dashboard-isFixed");
    }
    if (this.opts.animateOpenClose && this.getPluginState().isClosing) {
      const handler = () => {
        this.setPluginState({
          isHidden: false
        });
        this.el.removeEventListener("animationend", handler, false);
        resolve();
      };
      this.el.addEventListener("animationend", handler, false);
    } else {
      this.setPluginState({
        isHidden: false
      });
      resolve();
    }
    if (this.opts.browserBackButtonClose) {
      this.updateBrowserHistory();
    }
    document.addEventListener("keydown", this.handleKeyDownInModal);
    this.uppy.emit("dashboard:modal-open");
    return promise;
  };
  closeModal = (opts) => {
    const manualClose = opts?.manualClose ?? true;
    const { isHidden, isClosing } = this.getPluginState();
    if (isHidden || isClosing) {
      return void 0;
    }
    const { promise, resolve } = createPromise();
    if (this.opts.disablePageScrollWhenModalOpen) {
      document.body.classList.remove("uppy-Dashboard-isFixed");
    }
    if (this.opts.animateOpenClose) {
      this.setPluginState({
        isClosing: true
      });
      const handler = () => {
        this.setPluginState({
          isHidden: true,
          isClosing: false
        });
        this.superFocus.cancel();
        this.savedActiveElement.focus();
        this.el.removeEventListener("animationend", handler, false);
        resolve();
      };
      this.el.addEventListener("animationend", handler, false);
    } else {
      this.setPluginState({
        isHidden: true
      });
      this.superFocus.cancel();
      this.savedActiveElement.focus();
      resolve();
    }
    document.removeEventListener("keydown", this.handleKeyDownInModal);
    if (manualClose) {
      if (this.opts.browserBackButtonClose) {
        if (history.state?.[this.modalName]) {
          history.back();
        }
      }
    }
    this.uppy.emit("dashboard:modal-closed");
    return promise;
  };
  isModalOpen = () => {
    return !this.getPluginState().isHidden || false;
  };
  requestCloseModal = () => {
    if (this.opts.onRequestCloseModal) {
      return this.opts.onRequestCloseModal();
    }
    return this.closeModal();
  };
  setDarkModeCapability = (isDarkModeOn) => {
    const { capabilities } = this.uppy.getState();
    this.uppy.setState({
      capabilities: {
        ...capabilities,
        darkMode: isDarkModeOn
      }
    });
  };
  handleSystemDarkModeChange = (event) => {
    const isDarkModeOnNow = event.matches;
    this.uppy.log(`[Dashboard] Dark mode is ${isDarkModeOnNow ? "on" : "off"}`);
    this.setDarkModeCapability(isDarkModeOnNow);
  };
  toggleFileCard = (show, fileID) => {
    const file = this.uppy.getFile(fileID);
    if (show) {
      this.uppy.emit("dashboard:file-edit-start", file);
    } else {
      this.uppy.emit("dashboard:file-edit-complete", file);
    }
    this.setPluginState({
      fileCardFor: show ? fileID : null,
      activeOverlayType: show ? "FileCard" : null
    });
  };
  toggleAddFilesPanel = (show) => {
    this.setPluginState({
      showAddFilesPanel: show,
      activeOverlayType: show ? "AddFiles" : null
    });
  };
  addFiles = (files) => {
    const descriptors = files.map((file) => ({
      source: this.id,
      name: file.name,
      type: file.type,
      data: file,
      meta: {
        // path of the file relative to the ancestor directory the user selected.
        // e.g. 'docs/Old Prague/airbnb.pdf'
        relativePath: file.relativePath || file.webkitRelativePath || null
      }
    }));
    try {
      this.uppy.addFiles(descriptors);
    } catch (err) {
      this.uppy.log(err);
    }
  };
  // ___Why make insides of Dashboard invisible until first ResizeObserver event is emitted?
  //    ResizeOberserver doesn't emit the first resize event fast enough, users can see the jump from one .uppy-size-- to
  //    another (e.g. in Safari)
  // ___Why not apply visibility property to .uppy-Dashboard-inner?
  //    Because ideally, acc to specs, ResizeObserver should see invisible elements as of width 0. So even though applying
  //    invisibility to .uppy-Dashboard-inner works now, it may not work in the future.
  startListeningToResize = () => {
    this.resizeObserver = new ResizeObserver((entries) => {
      const uppyDashboardInnerEl = entries[0];
      const { width, height } = uppyDashboardInnerEl.contentRect;
      this.setPluginState({
        containerWidth: width,
        containerHeight: height,
        areInsidesReadyToBeVisible: true
      });
    });
    this.resizeObserver.observe(this.el.querySelector(".uppy-Dashboard-inner"));
    this.makeDashboardInsidesVisibleAnywayTimeout = setTimeout(() => {
      const pluginState = this.getPluginState();
      const isModalAndClosed = !this.opts.inline && pluginState.isHidden;
      if (
        // We might want to enable this in the future
        // if ResizeObserver hasn't yet fired,
        !pluginState.areInsidesReadyToBeVisible && // and it's not due to the modal being closed
        !isModalAndClosed
      ) {
        this.uppy.log("[Dashboard] resize event didn\u2019t fire on time: defaulted to mobile layout", "warning");
        this.setPluginState({
          areInsidesReadyToBeVisible: true
        });
      }
    }, 1e3);
  };
  stopListeningToResize = () => {
    this.resizeObserver.disconnect();
    clearTimeout(this.makeDashboardInsidesVisibleAnywayTimeout);
  };
  // Records whether we have been interacting with uppy right now,
  // which is then used to determine whether state updates should trigger a refocusing.
  recordIfFocusedOnUppyRecently = (event) => {
    if (this.el.contains(event.target)) {
      this.ifFocusedOnUppyRecently = true;
    } else {
      this.ifFocusedOnUppyRecently = false;
      this.superFocus.cancel();
    }
  };
  disableInteractiveElements = (disable) => {
    const NODES_TO_DISABLE = [
      "a[href]",
      "input:not([disabled])",
      "select:not([disabled])",
      "textarea:not([disabled])",
      "button:not([disabled])",
      '[role="button"]:not([disabled])'
    ];
    const nodesToDisable = this.#disabledNodes ?? toArray_default(this.el.querySelectorAll(NODES_TO_DISABLE)).filter((node) => !node.classList.contains("uppy-Dashboard-close"));
    for (const node of nodesToDisable) {
      if (node.tagName === "A") {
        node.setAttribute("aria-disabled", disable);
      } else {
        node.disabled = disable;
      }
    }
    if (disable) {
      this.#disabledNodes = nodesToDisable;
    } else {
      this.#disabledNodes = null;
    }
    this.dashboardIsDisabled = disable;
  };
  updateBrowserHistory = () => {
    if (!history.state?.[this.modalName]) {
      history.pushState({
        ...history.state,
        [this.modalName]: true
      }, "");
    }
    window.addEventListener("popstate", this.handlePopState, false);
  };
  handlePopState = (event) => {
    if (this.isModalOpen() && !event.state?.[this.modalName]) {
      this.closeModal({ manualClose: false });
    }
    if (!this.isModalOpen() && event.state?.[this.modalName]) {
      history.back();
    }
  };
  handleKeyDownInModal = (event) => {
    if (event.keyCode === ESC_KEY)
      this.requestCloseModal();
    if (event.keyCode === TAB_KEY)
      trapFocus(event, this.getPluginState().activeOverlayType, this.el);
  };
  handleClickOutside = () => {
    if (this.opts.closeModalOnClickOutside)
      this.requestCloseModal();
  };
  handlePaste = (event) => {
    this.uppy.iteratePlugins((plugin) => {
      if (plugin.type === "acquirer") {
        ;
        plugin.handleRootPaste?.(event);
      }
    });
    const files = toArray_default(event.clipboardData.files);
    if (files.length > 0) {
      this.uppy.log("[Dashboard] Files pasted");
      this.addFiles(files);
    }
  };
  handleInputChange = (event) => {
    event.preventDefault();
    const files = toArray_default(event.currentTarget.files || []);
    if (files.length > 0) {
      this.uppy.log("[Dashboard] Files selected through input");
      this.addFiles(files);
    }
  };
  handleDragOver = (event) => {
    event.preventDefault();
    event.stopPropagation();
    const canSomePluginHandleRootDrop = () => {
      let somePluginCanHandleRootDrop2 = true;
      this.uppy.iteratePlugins((plugin) => {
        if (plugin.canHandleRootDrop?.(event)) {
          somePluginCanHandleRootDrop2 = true;
        }
      });
      return somePluginCanHandleRootDrop2;
    };
    const doesEventHaveFiles = () => {
      const { types } = event.dataTransfer;
      return types.some((type) => type === "Files");
    };
    const somePluginCanHandleRootDrop = canSomePluginHandleRootDrop();
    const hasFiles = doesEventHaveFiles();
    if (!somePluginCanHandleRootDrop && !hasFiles || this.opts.disabled || // opts.disableLocalFiles should only be taken into account if no plugins
    // can handle the datatransfer
    this.opts.disableLocalFiles && (hasFiles || !somePluginCanHandleRootDrop) || !this.uppy.getState().allowNewUpload) {
      event.dataTransfer.dropEffect = "none";
      return;
    }
    event.dataTransfer.dropEffect = "copy";
    this.setPluginState({ isDraggingOver: true });
    this.opts.onDragOver(event);
  };
  handleDragLeave = (event) => {
    event.preventDefault();
    event.stopPropagation();
    this.setPluginState({ isDraggingOver: false });
    this.opts.onDragLeave(event);
  };
  handleDrop = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    this.setPluginState({ isDraggingOver: false });
    this.uppy.iteratePlugins((plugin) => {
      if (plugin.type === "acquirer") {
        ;
        plugin.handleRootDrop?.(event);
      }
    });
    let executedDropErrorOnce = false;
    const logDropError = (error) => {
      this.uppy.log(error, "error");
      if (!executedDropErrorOnce) {
        this.uppy.info(error.message, "error");
        executedDropErrorOnce = true;
      }
    };
    this.uppy.log("[Dashboard] Processing dropped files");
    this.opts.onDrop(event);
    const files = await getDroppedFiles(event.dataTransfer, { logDropError });
    if (files.length > 0) {
      this.uppy.log("[Dashboard] Files dropped");
      this.addFiles(files);
    }
  };
  handleRequestThumbnail = (file) => {
    if (!this.opts.waitForThumbnailsBeforeUpload) {
      this.uppy.emit("thumbnail:request", file);
    }
  };
  /**
   * We cancel thumbnail requests when a file item component unmounts to avoid
   * clogging up the queue when the user scrolls past many elements.
   */
  handleCancelThumbnail = (file) => {
    if (!this.opts.waitForThumbnailsBeforeUpload) {
      this.uppy.emit("thumbnail:cancel", file);
    }
  };
  handleKeyDownInInline = (event) => {
    if (event.keyCode === TAB_KEY)
      forInline(event, this.getPluginState().activeOverlayType, this.el);
  };
  // ___Why do we listen to the 'paste' event on a document instead of onPaste={props.handlePaste} prop,
  //    or this.el.addEventListener('paste')?
  //    Because (at least) Chrome doesn't handle paste if focus is on some button, e.g. 'My Device'.
  //    => Therefore, the best option is to listen to all 'paste' events, and only react to them when we are focused on our
  //       particular Uppy instance.
  // ___Why do we still need onPaste={props.handlePaste} for the DashboardUi?
  //    Because if we click on the 'Drop files here' caption e.g., `document.activeElement` will be 'body'. Which means our
  //    standard determination of whether we're pasting into our Uppy instance won't work.
  //    => Therefore, we need a traditional onPaste={props.handlePaste} handler too.
  handlePasteOnBody = (event) => {
    const isFocusInOverlay2 = this.el.contains(document.activeElement);
    if (isFocusInOverlay2) {
      this.handlePaste(event);
    }
  };
  handleComplete = ({ failed }) => {
    if (this.opts.closeAfterFinish && !failed?.length) {
      this.requestCloseModal();
    }
  };
  #generateLargeThumbnailIfSingleFile = () => {
    if (this.opts.disableThumbnailGenerator) {
      return;
    }
    const LARGE_THUMBNAIL = 600;
    const files = this.uppy.getFiles();
    if (files.length === 1) {
      const thumbnailGenerator = this.uppy.getPlugin(`${this.id}:ThumbnailGenerator`);
      thumbnailGenerator?.setOptions({ thumbnailWidth: LARGE_THUMBNAIL });
      const fileForThumbnail = { ...files[0], preview: void 0 };
      thumbnailGenerator?.requestThumbnail(fileForThumbnail).then(() => {
        thumbnailGenerator?.setOptions({
          thumbnailWidth: this.opts.thumbnailWidth
        });
      });
    }
  };
  #openFileEditorWhenFilesAdded = (files) => {
    const firstFile = files[0];
    const { metaFields } = this.getPluginState();
    const isMetaEditorEnabled = metaFields && metaFields.length > 0;
    const isImageEditorEnabled = this.canEditFile(firstFile);
    if (isMetaEditorEnabled && this.opts.autoOpen === "metaEditor") {
      this.toggleFileCard(true, firstFile.id);
    } else if (isImageEditorEnabled && this.opts.autoOpen === "imageEditor") {
      this.openFileEditor(firstFile);
    }
  };
  initEvents = () => {
    if (this.opts.trigger && !this.opts.inline) {
      const showModalTrigger = findAllDOMElements_default(this.opts.trigger);
      if (showModalTrigger) {
        showModalTrigger.forEach((trigger) => {
          trigger.addEventListener("click", this.openModal);
        });
      } else {
        this.uppy.log("Dashboard modal trigger not found. Make sure `trigger` is set in Dashboard options, unless you are planning to call `dashboard.openModal()` method yourself", "warning");
      }
    }
    this.startListeningToResize();
    document.addEventListener("paste", this.handlePasteOnBody);
    this.uppy.on("plugin-added", this.#addSupportedPluginIfNoTarget);
    this.uppy.on("plugin-remove", this.removeTarget);
    this.uppy.on("file-added", this.hideAllPanels);
    this.uppy.on("dashboard:modal-closed", this.hideAllPanels);
    this.uppy.on("complete", this.handleComplete);
    this.uppy.on("files-added", this.#generateLargeThumbnailIfSingleFile);
    this.uppy.on("file-removed", this.#generateLargeThumbnailIfSingleFile);
    document.addEventListener("focus", this.recordIfFocusedOnUppyRecently, true);
    document.addEventListener("click", this.recordIfFocusedOnUppyRecently, true);
    if (this.opts.inline) {
      this.el.addEventListener("keydown", this.handleKeyDownInInline);
    }
    if (this.opts.autoOpen) {
      this.uppy.on("files-added", this.#openFileEditorWhenFilesAdded);
    }
  };
  removeEvents = () => {
    const showModalTrigger = findAllDOMElements_default(this.opts.trigger);
    if (!this.opts.inline && showModalTrigger) {
      showModalTrigger.forEach((trigger) => {
        trigger.removeEventListener("click", this.openModal);
      });
    }
    this.stopListeningToResize();
    document.removeEventListener("keydown", this.handleKeyDownInModal);
    document.removeEventListener("paste", this.handlePasteOnBody);
    window.removeEventListener("popstate", this.handlePopState, false);
    this.uppy.off("plugin-added", this.#addSupportedPluginIfNoTarget);
    this.uppy.off("plugin-remove", this.removeTarget);
    this.uppy.off("file-added", this.hideAllPanels);
    this.uppy.off("dashboard:modal-closed", this.hideAllPanels);
    this.uppy.off("complete", this.handleComplete);
    this.uppy.off("files-added", this.#generateLargeThumbnailIfSingleFile);
    this.uppy.off("file-removed", this.#generateLargeThumbnailIfSingleFile);
    document.removeEventListener("focus", this.recordIfFocusedOnUppyRecently, true);
    document.removeEventListener("click", this.recordIfFocusedOnUppyRecently, true);
    if (this.opts.inline) {
      this.el.removeEventListener("keydown", this.handleKeyDownInInline);
    }
    if (this.opts.autoOpen) {
      this.uppy.off("files-added", this.#openFileEditorWhenFilesAdded);
    }
  };
  superFocusOnEachUpdate = () => {
    const isFocusInUppy = this.el.contains(document.activeElement);
    const isFocusNowhere = document.activeElement === document.body || document.activeElement === null;
    const isInformerHidden = this.uppy.getState().info.length === 0;
    const isModal = !this.opts.inline;
    if (
      // If update is connected to showing the Informer - let the screen reader calmly read it.
      isInformerHidden && // If we are in a modal - always superfocus without concern for other elements
      // on the page (user is unlikely to want to interact with the rest of the page)
      (isModal || // If we are already inside of Uppy, or
      isFocusInUppy || // If we are not focused on anything BUT we have already, at least once, focused on uppy
      //   1. We focus when isFocusNowhere, because when the element we were focused
      //      on disappears (e.g. an overlay), - focus gets lost. If user is typing
      //      something somewhere else on the page, - focus won't be 'nowhere'.
      //   2. We only focus when focus is nowhere AND this.ifFocusedOnUppyRecently,
      //      to avoid focus jumps if we do something else on the page.
      //   [Practical check] Without '&& this.ifFocusedOnUppyRecently', in Safari, in inline mode,
      //                     when file is uploading, - navigate via tab to the checkbox,
      //                     try to press space multiple times. Focus will jump to Uppy.
      isFocusNowhere && this.ifFocusedOnUppyRecently)
    ) {
      this.superFocus(this.el, this.getPluginState().activeOverlayType);
    } else {
      this.superFocus.cancel();
    }
  };
  afterUpdate = () => {
    if (this.opts.disabled && !this.dashboardIsDisabled) {
      this.disableInteractiveElements(true);
      return;
    }
    if (!this.opts.disabled && this.dashboardIsDisabled) {
      this.disableInteractiveElements(false);
    }
    this.superFocusOnEachUpdate();
  };
  saveFileCard = (meta, fileID) => {
    this.uppy.setFileMeta(fileID, meta);
    this.toggleFileCard(false, fileID);
  };
  #attachRenderFunctionToTarget = (target2) => {
    const plugin = this.uppy.getPlugin(target2.id);
    return {
      ...target2,
      icon: plugin.icon || this.opts.defaultPickerIcon,
      render: plugin.render
    };
  };
  #isTargetSupported = (target2) => {
    const plugin = this.uppy.getPlugin(target2.id);
    if (typeof plugin.isSupported !== "function") {
      return true;
    }
    return plugin.isSupported();
  };
  #getAcquirers = (targets) => {
    return targets.filter((target2) => target2.type === "acquirer" && this.#isTargetSupported(target2)).map(this.#attachRenderFunctionToTarget);
  };
  #getProgressIndicators = (targets) => {
    return targets.filter((target2) => target2.type === "progressindicator").map(this.#attachRenderFunctionToTarget);
  };
  #getEditors = (targets) => {
    return targets.filter((target2) => target2.type === "editor").map(this.#attachRenderFunctionToTarget);
  };
  render = (state) => {
    const pluginState = this.getPluginState();
    const { files, capabilities, allowNewUpload } = state;
    const { newFiles, uploadStartedFiles, completeFiles, erroredFiles, inProgressFiles, inProgressNotPausedFiles, processingFiles, isUploadStarted, isAllComplete, isAllPaused } = this.uppy.getObjectOfFilesPerState();
    const acquirers = this.#getAcquirers(pluginState.targets);
    const progressindicators = this.#getProgressIndicators(pluginState.targets);
    const editors = this.#getEditors(pluginState.targets);
    let theme;
    if (this.opts.theme === "auto") {
      theme = capabilities.darkMode ? "dark" : "light";
    } else {
      theme = this.opts.theme;
    }
    if (["files", "folders", "both"].indexOf(this.opts.fileManagerSelectionType) < 0) {
      this.opts.fileManagerSelectionType = "files";
      console.warn(`Unsupported option for "fileManagerSelectionType". Using default of "${this.opts.fileManagerSelectionType}".`);
    }
    return Dashboard({
      state,
      isHidden: pluginState.isHidden,
      files,
      newFiles,
      uploadStartedFiles,
      completeFiles,
      erroredFiles,
      inProgressFiles,
      inProgressNotPausedFiles,
      processingFiles,
      isUploadStarted,
      isAllComplete,
      isAllPaused,
      totalFileCount: Object.keys(files).length,
      totalProgress: state.totalProgress,
      allowNewUpload,
      acquirers,
      theme,
      disabled: this.opts.disabled,
      disableLocalFiles: this.opts.disableLocalFiles,
      direction: this.opts.direction,
      activePickerPanel: pluginState.activePickerPanel,
      showFileEditor: pluginState.showFileEditor,
      saveFileEditor: this.saveFileEditor,
      closeFileEditor: this.closeFileEditor,
      disableInteractiveElements: this.disableInteractiveElements,
      animateOpenClose: this.opts.animateOpenClose,
      isClosing: pluginState.isClosing,
      progressindicators,
      editors,
      autoProceed: this.uppy.opts.autoProceed,
      id: this.id,
      closeModal: this.requestCloseModal,
      handleClickOutside: this.handleClickOutside,
      handleInputChange: this.handleInputChange,
      handlePaste: this.handlePaste,
      inline: this.opts.inline,
      showPanel: this.showPanel,
      hideAllPanels: this.hideAllPanels,
      i18n: this.i18n,
      i18nArray: this.i18nArray,
      uppy: this.uppy,
      note: this.opts.note,
      recoveredState: state.recoveredState,
      metaFields: pluginState.metaFields,
      resumableUploads: capabilities.resumableUploads || false,
      individualCancellation: capabilities.individualCancellation,
      isMobileDevice: capabilities.isMobileDevice,
      fileCardFor: pluginState.fileCardFor,
      toggleFileCard: this.toggleFileCard,
      toggleAddFilesPanel: this.toggleAddFilesPanel,
      showAddFilesPanel: pluginState.showAddFilesPanel,
      saveFileCard: this.saveFileCard,
      openFileEditor: this.openFileEditor,
      canEditFile: this.canEditFile,
      width: this.opts.width,
      height: this.opts.height,
      showLinkToFileUploadResult: this.opts.showLinkToFileUploadResult,
      fileManagerSelectionType: this.opts.fileManagerSelectionType,
      proudlyDisplayPoweredByUppy: this.opts.proudlyDisplayPoweredByUppy,
      showRemoveButtonAfterComplete: this.opts.showRemoveButtonAfterComplete,
      containerWidth: pluginState.containerWidth,
      containerHeight: pluginState.containerHeight,
      areInsidesReadyToBeVisible: pluginState.areInsidesReadyToBeVisible,
      parentElement: this.el,
      allowedFileTypes: this.uppy.opts.restrictions.allowedFileTypes,
      maxNumberOfFiles: this.uppy.opts.restrictions.maxNumberOfFiles,
      requiredMetaFields: this.uppy.opts.restrictions.requiredMetaFields,
      showSelectedFiles: this.opts.showSelectedFiles,
      showNativePhotoCameraButton: this.opts.showNativePhotoCameraButton,
      showNativeVideoCameraButton: this.opts.showNativeVideoCameraButton,
      nativeCameraFacingMode: this.opts.nativeCameraFacingMode,
      singleFileFullScreen: this.opts.singleFileFullScreen,
      handleRequestThumbnail: this.handleRequestThumbnail,
      handleCancelThumbnail: this.handleCancelThumbnail,
      // drag props
      isDraggingOver: pluginState.isDraggingOver,
      handleDragOver: this.handleDragOver,
      handleDragLeave: this.handleDragLeave,
      handleDrop: this.handleDrop,
      // informer props
      disableInformer: this.opts.disableInformer,
      // status-bar props
      disableStatusBar: this.opts.disableStatusBar,
      hideProgressDetails: this.opts.hideProgressDetails,
      hideUploadButton: this.opts.hideUploadButton,
      hideRetryButton: this.opts.hideRetryButton,
      hidePauseResumeButton: this.opts.hidePauseResumeButton,
      hideCancelButton: this.opts.hideCancelButton,
      hideProgressAfterFinish: this.opts.hideProgressAfterFinish,
      doneButtonHandler: this.opts.doneButtonHandler
    });
  };
  #addSpecifiedPluginsFromOptions = () => {
    const { plugins } = this.opts;
    plugins.forEach((pluginID) => {
      const plugin = this.uppy.getPlugin(pluginID);
      if (plugin) {
        ;
        plugin.mount(this, plugin);
      } else {
        this.uppy.log(`[Uppy] Dashboard could not find plugin '${pluginID}', make sure to uppy.use() the plugins you are specifying`, "warning");
      }
    });
  };
  #autoDiscoverPlugins = () => {
    this.uppy.iteratePlugins(this.#addSupportedPluginIfNoTarget);
  };
  #addSupportedPluginIfNoTarget = (plugin) => {
    const typesAllowed = ["acquirer", "editor"];
    if (plugin && !plugin.opts?.target && typesAllowed.includes(plugin.type)) {
      const pluginAlreadyAdded = this.getPluginState().targets.some((installedPlugin) => plugin.id === installedPlugin.id);
      if (!pluginAlreadyAdded) {
        ;
        plugin.mount(this, plugin);
      }
    }
  };
  #getThumbnailGeneratorOpts() {
    const { thumbnailWidth, thumbnailHeight, thumbnailType, waitForThumbnailsBeforeUpload } = this.opts;
    return {
      thumbnailWidth,
      thumbnailHeight,
      thumbnailType,
      waitForThumbnailsBeforeUpload,
      // If we don't block on thumbnails, we can lazily generate them
      lazy: !waitForThumbnailsBeforeUpload
    };
  }
  setOptions(opts) {
    super.setOptions(opts);
    this.uppy.getPlugin(this.#getThumbnailGeneratorId())?.setOptions(this.#getThumbnailGeneratorOpts());
  }
  #getThumbnailGeneratorId() {
    return `${this.id}:ThumbnailGenerator`;
  }
  install = () => {
    this.setPluginState({
      isHidden: true,
      fileCardFor: null,
      activeOverlayType: null,
      showAddFilesPanel: false,
      activePickerPanel: void 0,
      showFileEditor: false,
      metaFields: this.opts.metaFields,
      targets: [],
      // We'll make them visible once .containerWidth is determined
      areInsidesReadyToBeVisible: false,
      isDraggingOver: false
    });
    const { inline, closeAfterFinish } = this.opts;
    if (inline && closeAfterFinish) {
      throw new Error("[Dashboard] `closeAfterFinish: true` cannot be used on an inline Dashboard, because an inline Dashboard cannot be closed at all. Either set `inline: false`, or disable the `closeAfterFinish` option.");
    }
    const { allowMultipleUploads, allowMultipleUploadBatches } = this.uppy.opts;
    if ((allowMultipleUploads || allowMultipleUploadBatches) && closeAfterFinish) {
      this.uppy.log("[Dashboard] When using `closeAfterFinish`, we recommended setting the `allowMultipleUploadBatches` option to `false` in the Uppy constructor. See https://uppy.io/docs/uppy/#allowMultipleUploads-true", "warning");
    }
    const { target: target2 } = this.opts;
    if (target2) {
      this.mount(target2, this);
    }
    if (!this.opts.disableThumbnailGenerator) {
      this.uppy.use(ThumbnailGenerator, {
        id: this.#getThumbnailGeneratorId(),
        ...this.#getThumbnailGeneratorOpts()
      });
    }
    this.darkModeMediaQuery = typeof window !== "undefined" && window.matchMedia ? window.matchMedia("(prefers-color-scheme: dark)") : null;
    const isDarkModeOnFromTheStart = this.darkModeMediaQuery ? this.darkModeMediaQuery.matches : false;
    this.uppy.log(`[Dashboard] Dark mode is ${isDarkModeOnFromTheStart ? "on" : "off"}`);
    this.setDarkModeCapability(isDarkModeOnFromTheStart);
    if (this.opts.theme === "auto") {
      this.darkModeMediaQuery?.addListener(this.handleSystemDarkModeChange);
    }
    this.#addSpecifiedPluginsFromOptions();
    this.#autoDiscoverPlugins();
    this.initEvents();
  };
  uninstall = () => {
    if (!this.opts.disableThumbnailGenerator) {
      const thumbnail = this.uppy.getPlugin(`${this.id}:ThumbnailGenerator`);
      if (thumbnail)
        this.uppy.removePlugin(thumbnail);
    }
    const { plugins } = this.opts;
    plugins.forEach((pluginID) => {
      const plugin = this.uppy.getPlugin(pluginID);
      if (plugin)
        plugin.unmount();
    });
    if (this.opts.theme === "auto") {
      this.darkModeMediaQuery?.removeListener(this.handleSystemDarkModeChange);
    }
    if (this.opts.disablePageScrollWhenModalOpen) {
      document.body.classList.remove("uppy-Dashboard-isFixed");
    }
    const elementToFocus = !this.opts.inline && this.isModalOpen() ? this.savedActiveElement : void 0;
    this.superFocus.cancel();
    this.unmount();
    this.removeEvents();
    if (elementToFocus?.isConnected)
      elementToFocus.focus();
  };
};

// pages/backend.ts
function initialize(file) {
  return post("/api/uploads", { name: file.name, size: file.size, type: file.type });
}
async function renewToken(uploadId) {
  return (await post("/api/tokens", { uploadId })).token;
}
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`the backend answers ${response.status}`);
  return await response.json();
}

// pages/uppy.ts
var target = document.createElement("div");
target.id = `uppy${6}`;
document.body.append(target);
var uppy = new Uppy_default({ id: `uppy${6}` });
uppy.use(Dashboard2, { target, inline: true });
uppy.use(dist_default, {
  getUpload: (file) => initialize({ name: file.name, size: file.size, type: file.type }),
  renewToken
});
var keys = {};
var errors = [];
uppy.on("upload-success", (file, response) => {
  const { upload } = response.body;
  if (file?.name) keys[file.name] = upload.object.key;
});
uppy.on("upload-error", (_file, error) => errors.push(error.message));
Object.assign(window, { [`uppy${6}`]: { uppy, keys, errors } });
/*! Bundled license information:

classnames/index.js:
  (*!
  	Copyright (c) 2018 Jed Watson.
  	Licensed under the MIT License (MIT), see
  	http://jedwatson.github.io/classnames
  *)

uppy6-core/lib/utils/Translator.js:
  (**
   * Takes a string with placeholder variables like `%{smart_count} file selected`
   * and replaces it with values from options `{smart_count: 5}`
   *
   * @license https://github.com/airbnb/polyglot.js/blob/master/LICENSE
   * taken from https://github.com/airbnb/polyglot.js/blob/master/lib/polyglot.js#L299
   *
   * @param phrase that needs interpolation, with placeholders
   * @param options with values that will be used to replace placeholders
   *)
*/
