// What is wrong with a value, in the words of core/src/contract/system_ini/rule.rs, whose table (characters, length,
// name of the kind) is in the page. Rust judges this file in host-tools/tests/ini_editor.rs.

const NOT_ONE = true;
const words = (...all) => Object.assign((v) => !all.includes(lower(v)), { words: all });
const BOOLEANS = ["1", "yes", "true", "on", "0", "no", "false", "off"];
const isTrue = (value) => BOOLEANS.indexOf(lower(value)) < 4;

function v4(text) {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((p) => /^(0|[1-9][0-9]{0,2})$/.test(p) && Number(p) <= 255);
}

function v6(text) {
  const halves = text.split("::");
  if (halves.length > 2 || !text.includes(":")) return false;
  let groups = 0;
  for (const [h, half] of halves.entries()) {
    const pieces = half === "" && halves.length === 2 ? [] : half.split(":");
    for (const [i, piece] of pieces.entries()) {
      const isLast = h === halves.length - 1 && i === pieces.length - 1;
      if (/^[0-9a-fA-F]{1,4}$/.test(piece)) groups++;
      else if (isLast && v4(piece)) groups += 2;
      else return false;
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8;
}

const isAddress = (text) => (text.includes(":") ? v6(text) : v4(text));
const notAddress = (v) => !isAddress(v);

function network(v) {
  const at = v.indexOf("/");
  if (at < 0) return isAddress(v) ? "the network size is missing behind the address, mostly /24" : NOT_ONE;
  const [ip, size] = [v.slice(0, at), v.slice(at + 1)];
  if (!isAddress(ip)) return NOT_ONE;
  const bits = ip.includes(":") ? 128 : 32;
  if (bits === 32 && v4(size)) {
    const mask = size.split(".").map((n) => Number(n).toString(2).padStart(8, "0")).join("");
    return !/^1*0*$/.test(mask);
  }
  if (!/^[0-9]+$/.test(size) || Number(size) > 0xffffffff) return NOT_ONE;
  return Number(size) > bits ? "the network size is at most 32, for IPv6 at most 128" : null;
}

function labels(v) {
  for (const label of v.split(".")) {
    if (label === "") return "no dot may stand at its ends and no two together";
    if (label.length > 63) return "a part between dots has at most 63 characters";
    if (label.startsWith("-") || label.endsWith("-")) return "no part of a host name begins or ends with a hyphen";
  }
  return null;
}

const isPort = (text) => /^[0-9]+$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;

function port(v) {
  const [ports, protocol, ...more] = (v.includes("/") ? lower(v) : `${v}/tcp`).split("/");
  const [first, last] = ports.includes("-") ? [ports.slice(0, ports.indexOf("-")), ports.slice(ports.indexOf("-") + 1)] : [ports, ports];
  return !(more.length === 0 && isPort(first) && isPort(last) && Number(first) <= Number(last) && ["tcp", "udp"].includes(protocol));
}

function proxyUrl(v) {
  const at = v.indexOf(":");
  if (at < 0 || !v.slice(at + 1).startsWith("//")) return "it begins with http:// or another scheme";
  const rest = v.slice(at + 3).split("@").pop();
  return !(["http", "https", "socks5", "socks5h"].includes(v.slice(0, at)) && /^[A-Za-z0-9[]/.test(rest));
}

function endpoint(v) {
  const at = v.lastIndexOf(":");
  if (at < 0 || !isPort(v.slice(at + 1))) return NOT_ONE;
  const name = v.slice(0, at);
  if (name.startsWith("[") && name.endsWith("]") && name.length > 1) return !(name.includes(":") && v6(name.slice(1, -1)));
  return /[:[\]]/.test(name) ? NOT_ONE : labels(name);
}

function sshKey(line) {
  const shape = "it is not 'type base64 comment'";
  if (line.includes("PRIVATE KEY")) {
    return "this is a private key, which must stay secret; the public one is in the file that ends in .pub";
  }
  const isType = (word) => /^(ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-sha2-)[A-Za-z0-9.@-]+$/.test(word);
  const first = (text) => text.split(/[ \t]/)[0];
  let key = line;
  if (!isType(first(line))) {
    let quoted = false, at = 0;
    for (; at < line.length; at++) {
      const c = line[at];
      if (c === "\\" && quoted) at++;
      else if (c === '"') quoted = !quoted;
      else if (!quoted && (c === " " || c === "\t")) break;
      else if (!quoted && !/[A-Za-z0-9=,@.-]/.test(c)) {
        return 'what stands before the type of the key is not like from="10.0.0.1",no-pty';
      }
    }
    if (at >= line.length) return quoted ? "a quote in its options is not closed" : shape;
    key = line.slice(at).replace(/^[ \t]+/, "");
  }
  const kind = first(key), blob = first(key.slice(kind.length).replace(/^[ \t]+/, ""));
  if (!isType(kind) || blob === "") return shape;
  return /^[A-Za-z0-9+/]+={0,2}$/.test(blob) ? null : "the second word is not base64";
}

const baseName = (v) => /^[.-]/.test(v);
const STATES = ["missing", "off", "no-carrier", "dormant", "degraded-carrier", "carrier", "degraded", "enslaved", "routable"];
const UNITS = ["service", "socket", "target", "timer", "mount", "path", "device", "automount", "swap", "slice", "scope"];
const none = () => null;
const key32 = (v) => !(v.length === 44 && v.indexOf("=") === 43);

/// By the name of the kind: null when the value is one, NOT_ONE when it is none, or a clause that says it all.
const CHECKS = {
  "yes or no": (v) => !BOOLEANS.includes(lower(v)),
  "a host name": labels,
  "a domain": labels,
  "a host name or an address": (v) => (isAddress(v) ? null : v.includes(":") ? NOT_ONE : labels(v)),
  "a zone name": (v) => (v.split("/").includes("") ? "a zone name has no slash at its ends and no two together" : null),
  "a locale": baseName,
  "a keymap": baseName,
  "a public key": sshKey,
  "a password hash": (v) => v.startsWith("$") && v.length >= 24 && v.split("$").length >= 4
    ? null : "it is no hash of a password, which 'openssl passwd -6' makes",
  "an interface": none,
  "an address": notAddress,
  "an address with its network size": network,
  "dhcp or an address with its network size": (v) => (lower(v) === "dhcp" ? null : network(v)),
  "a network": (v) => (isAddress(v) ? null : network(v)),
  "the address of a proxy": proxyUrl,
  "a host, a domain or a network": none,
  "a port with its protocol": port,
  "the name of a Wi-Fi network": none,
  "the password of a Wi-Fi network": (v) => {
    const length = bytesOf(v);
    if (length === 64) return !/^[0-9a-fA-F]+$/.test(v);
    return length >= 8 && length <= 63 ? null : "the password of a Wi-Fi network has 8 to 63 characters";
  },
  "0, 1 or 2": words("0", "1", "2"),
  "a country code of two letters": (v) => v.length !== 2,
  "a file name that ends in .network": (v) => !v.endsWith(".network") || baseName(v),
  "yes, no or an operational state": (v) => {
    const at = v.indexOf(":"), word = lower(v);
    const states = at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
    return !(BOOLEANS.includes(word) || states.every((state) => STATES.includes(state)));
  },
  "the name of a unit": (v) => {
    if (baseName(v)) return NOT_ONE;
    const dot = v.lastIndexOf("."), ended = dot >= 0 && UNITS.includes(v.slice(dot + 1));
    return v.length + (ended ? 0 : ".service".length) > 255;
  },
  "tmpfs, rescue or reboot": words("tmpfs", "rescue", "reboot"),
  "any, inet or inet6": words("any", "inet", "inet6"),
  "a number of seconds from 1 to 600": (v) => !(/^\+?[0-9]+$/.test(v) && Number(v) >= 1 && Number(v) <= 600),
  "a user or group name": (v) => (/^[a-z_][^A-Z]*$/.test(v) ? null : "a user or group name has small letters only and begins with one"),
  "a path of a program": (v) => !(v.startsWith("/") && v.split("/").slice(1).every((p) => !["", ".", ".."].includes(p))),
  "a WireGuard key": key32,
  "host:port": endpoint,
  "the name of a hook": baseName,
};

const bytesOf = (text) => new TextEncoder().encode(text).length;

function excerpt(text) {
  const all = Array.from(text);
  return all.slice(0, 40).map((c) => (isControl(c) ? "\ufffd" : c)).join("") + (all.length > 40 ? "…" : "");
}

const isControl = (c) => /[\x00-\x1f\x7f-\x9f]/.test(c);

/// Returns null, or a clause that says what is wrong with the value; a secret value is not in it.
function judge(rule, value) {
  const isOther = rule.others === "*"
    ? (c) => isControl(c) || c === "\ufffd"
    : (c) => !/[A-Za-z0-9]/.test(c) && !rule.others.includes(c);
  const bad = Array.from(value).find(isOther);
  const notOne = rule.secret ? `the value is not ${rule.word}` : `'${excerpt(value)}' is not ${rule.word}`;
  if (bad === "\n") return `${rule.word} has only one line`;
  if (bad === "\ufffd") return "some of its characters are not UTF-8";
  if (bad !== undefined) return rule.secret ? notOne : `${rule.word} has no '${excerpt(bad)}'`;
  if (bytesOf(value) > rule.max) return `${rule.word} has at most ${rule.max} characters`;
  const why = CHECKS[rule.word](value);
  return why === NOT_ONE ? notOne : why || null;
}

/// Returns what is legal in a free text and hardly ever meant, or null.
function doubt(rule, value) {
  if (rule.others !== "*" || rule.max < 32 || rule.max > 64) return null;
  const quotes = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab";
  if (value.length > 1 && quotes.includes(value[0]) && quotes.includes(value.at(-1))) {
    return "The quotes are part of the value: leave them out, unless they really belong to it.";
  }
  return / # | ; |\t# /.test(value) ? "All of this is the value: a remark needs a line of its own." : null;
}
