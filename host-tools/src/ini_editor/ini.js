"use strict";
// Reads a system.ini as genpack-init does and changes single values of it. Every line that nobody changes keeps its
// bytes: encoding, byte order mark, line end, comment, order. The rules are those of core/src/text/ini.rs; Rust judges
// this file in host-tools/tests/ini_editor.rs. Nothing here knows of the page.

/// Section of the keys before the first header, and the one whose keys stand in for missing ones.
const TOP = "", FALLBACK = "DEFAULT";
/// The machine reads no more.
const MAX_BYTES = 256 << 10;
const BLANK = /[\s\u0085\u001c-\u001f\u200b\u2060\ufeff]/;

function trimStart(text) {
  let at = 0;
  while (at < text.length && BLANK.test(text[at])) at++;
  return text.slice(at);
}

function trimEnd(text) {
  let end = text.length;
  while (end > 0 && BLANK.test(text[end - 1])) end--;
  return text.slice(0, end);
}

const trim = (text) => trimEnd(trimStart(text));
const lower = (text) => text.replace(/[A-Z]/g, (c) => c.toLowerCase());
const isComment = (text) => text.startsWith("#") || text.startsWith(";");

// ----- bytes and lines -----

const FROM_0X80 = "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
  "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

function utf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/// Two characters of two bytes in a row, as in Shift_JIS, EUC, GBK and Big5.
function hasDoubleBytes(line) {
  let run = 0;
  for (let i = 0; i < line.length; i++) {
    const lead = line[i] >= 0x81 && line[i] <= 0xef;
    const trail = lead ? line[++i] : 0;
    run = lead && ((trail >= 0x40 && trail <= 0x7e) || (trail >= 0x80 && trail <= 0xfc)) ? run + 1 : 0;
    if (run === 2) return true;
  }
  return false;
}

/// The text of a line that is not UTF-8: Windows-1252, or U+FFFD where only a table of its country could tell.
function foreign(line) {
  if (hasDoubleBytes(line)) return Array.from(line, (b) => (b < 0x80 ? String.fromCharCode(b) : "\ufffd")).join("");
  let text = "";
  for (let i = 0; i < line.length; ) {
    const width = line[i] >= 0xf0 ? 4 : line[i] >= 0xe0 ? 3 : line[i] >= 0xc0 ? 2 : 1;
    const c = line[i] < 0x80 || width > 1 ? utf8(line.subarray(i, i + width)) : null;
    if (c !== null) {
      text += c;
      i += width;
    } else {
      text += line[i] < 0xa0 ? FROM_0X80[line[i] - 0x80] : String.fromCharCode(line[i]);
      i++;
    }
  }
  return text;
}

/// Splits at "\n", "\r\n" and a lone "\r"; calls `line(start, end, next)`.
function splitLines(units, line) {
  let start = 0;
  for (let i = 0; i < units.length; i++) {
    if (units[i] !== 10 && units[i] !== 13) continue;
    const next = units[i] === 13 && units[i + 1] === 10 ? i + 2 : i + 1;
    line(start, i, next);
    start = next;
    i = next - 1;
  }
  if (start < units.length) line(start, units.length, units.length);
}

const chars = (units) => Array.from(units, (unit) => String.fromCharCode(unit)).join("");
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/// A file: `{ encoding, mark, tail, lines }`, each line `{ text, eol, raw }` with the units it was read from.
function decode(bytes) {
  let encoding = "utf-8", mark = 0;
  if (bytes[0] === 0xff && bytes[1] === 0xfe) [encoding, mark] = ["utf-16le", 2];
  else if (bytes[0] === 0xfe && bytes[1] === 0xff) [encoding, mark] = ["utf-16be", 2];
  else if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    // In a first line of another encoding the three bytes are what they look like.
    const end = bytes.findIndex((byte) => byte === 10 || byte === 13);
    const first = end < 0 ? bytes : bytes.subarray(0, end);
    mark = utf8(first) === null && hasDoubleBytes(first) ? 0 : 3;
  }
  else {
    // No text that a person wrote has NULs, and every file of settings has ASCII.
    const pairs = Math.min(bytes.length >> 1, 512), zeros = [0, 0];
    for (let i = 0; i < 2 * pairs; i++) if (bytes[i] === 0) zeros[i & 1]++;
    if (zeros[0] === 0 && 4 * zeros[1] > pairs) encoding = "utf-16le";
    else if (zeros[1] === 0 && 4 * zeros[0] > pairs) encoding = "utf-16be";
  }
  let units = bytes.subarray(mark), tail = bytes.subarray(bytes.length);
  if (encoding !== "utf-8") {
    if (units.length & 1) tail = units.subarray(units.length - 1);
    const [high, low] = encoding === "utf-16be" ? [0, 1] : [1, 0];
    units = Uint16Array.from({ length: units.length >> 1 }, (_, i) => (units[2 * i + high] << 8) | units[2 * i + low]);
  }
  const lines = [];
  splitLines(units, (start, end, next) => {
    const raw = units.subarray(start, end);
    const text = encoding === "utf-8" ? utf8(raw) ?? foreign(raw) : chars(raw).replace(LONE_SURROGATE, "\ufffd");
    lines.push({ text, eol: chars(units.subarray(end, next)), raw });
  });
  return { encoding, mark: bytes.subarray(0, mark), tail, lines };
}

/// The bytes of all parts, one after another.
function joined(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/// The bytes of a file; of a line that was not changed, its own.
function encode(file) {
  const parts = [file.mark];
  const wide = (units) => {
    const out = new Uint8Array(2 * units.length), view = new DataView(out.buffer);
    units.forEach((unit, i) => view.setUint16(2 * i, unit, file.encoding === "utf-16le"));
    return out;
  };
  const units = (text) => file.encoding === "utf-8"
    ? new TextEncoder().encode(text) : wide(Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)));
  for (const { text, eol, raw } of file.lines) {
    parts.push(raw === null ? units(text) : file.encoding === "utf-8" ? raw : wide(Array.from(raw)), units(eol));
  }
  return joined([...parts, file.tail]);
}

// ----- keys and values -----

/// What the lines mean: `entries` (a key with the lines of its value), `headers`, `ignored` (lines that say nothing).
function parse(lines) {
  const entries = [], headers = [], ignored = [];
  const words = lines.map((line) => trim(line.text));
  const indent = (i) => lines[i].text.length - trimStart(lines[i].text).length;
  const says = (i) => words[i] !== "" && !isComment(words[i]);
  // The lines below `i` that go on with it; comments and empty lines between do not end it.
  const deeper = (i) => {
    const found = [];
    let next = i + 1;
    for (; next < lines.length && !(says(next) && indent(next) <= indent(i)); next++) if (says(next)) found.push(next);
    return [found, next];
  };
  let section = TOP, isOpen = false;
  for (let i = 0; i < lines.length; ) {
    const word = words[i], here = i++;
    if (!says(here)) continue;
    const close = word.lastIndexOf("]");
    if (word.startsWith("[") && close > 1) {
      section = word.slice(1, close);
      headers.push({ section, line: here });
      isOpen = false;
      continue;
    }
    const delimiter = word.search(/[=:\uff1d\uff1a]/);
    const key = trimEnd(word.slice(0, Math.max(delimiter, 0)));
    if (key === "") {
      ignored.push(here);
      if (delimiter >= 0) isOpen = false;
      else if (isOpen) i = deeper(here)[1];
      continue;
    }
    isOpen = true;
    const [more, next] = deeper(here);
    const behind = indent(here) + delimiter + 1;
    const value = [{ line: here, text: trim(lines[here].text.slice(behind)) }];
    const last = more.length ? more[more.length - 1] : here;
    for (let j = here + 1; j <= last; j++) value.push({ line: j, text: words[j] });
    entries.push({ section, key: lower(key), line: here, behind, indent: indent(here), value });
    i = next;
  }
  return { entries, headers, ignored };
}

/// The whole value: its lines without the comments between them.
const valueText = (entry) => entry.value.filter((v, i) => i === 0 || !isComment(v.text)).map((v) => v.text).join("\n");

/// The lines of a value below its first that are neither empty nor comments.
const further = (entry) => entry.value.slice(1).filter((v) => v.text !== "" && !isComment(v.text));

/// The values of a key that has several: `plural` is "list" (blanks, commas, lines) or "lines".
function values(entry, plural) {
  const found = [];
  for (const { text, line } of entry.value) {
    for (const item of plural === "lines" ? [text] : text.split(/[,\s\u0085]/).map(trim)) {
      if (isComment(item)) break;
      if (item !== "") found.push({ text: item.replaceAll("\t", " "), line });
    }
  }
  return found;
}

/// The entry that counts: the last of the section, else that of [DEFAULT]; a user has no stand-in.
function entryOf(parsed, section, key) {
  const last = (name) => parsed.entries.findLast((e) => e.section === name && e.key === key);
  return last(section) ?? (section.startsWith("user.") ? undefined : last(FALLBACK));
}

/// Keys that somebody indented below another one go on with its value, which cannot be meant when each is a key that
/// stands nowhere else: they are moved to the left edge, as genpack-init reads them.
function straighten(file, keysOf) {
  const { entries } = parse(file.lines);
  const delimiter = /[=:\uff1d\uff1a]/;
  let count = 0;
  for (const entry of entries) {
    const known = keysOf(entry.section);
    const key = known?.find((k) => k.name === entry.key);
    if (!key || key.plural !== "one" || key.rule.secret) continue;
    const below = further(entry);
    const isKey = ({ text }) => {
      const name = lower(trimEnd(text.split(delimiter)[0]));
      return delimiter.test(text) && known.some((k) => k.name === name) &&
        !entries.some((e) => e.section === entry.section && e.key === name);
    };
    if (!below.every(isKey)) continue;
    for (const { line, text } of below) change(file, line, " ".repeat(entry.indent) + text);
    count += below.length;
  }
  return count;
}

// ----- changes -----

function change(file, at, text) {
  if (file.lines[at].text !== text) file.lines[at] = { ...file.lines[at], text, raw: null };
}

const newline = (file) => (file.lines.some((line) => line.eol === "\r\n") ? "\r\n" : "\n");

function insert(file, at, texts) {
  if (at > 0 && file.lines[at - 1].eol === "") file.lines[at - 1] = { ...file.lines[at - 1], eol: newline(file) };
  file.lines.splice(at, 0, ...texts.map((text) => ({ text, eol: newline(file), raw: null })));
}

/// Where a new key may go, the best first: behind the comment that names it, at the end of its section, at its head.
function places(file, section, key) {
  const found = [];
  let inside = section === TOP, head = inside ? 0 : -1, end = head, isExample = false;
  file.lines.forEach((line, i) => {
    const words = trim(line.text);
    if (words.startsWith("[")) {
      inside = words.endsWith("]") && words.slice(1, -1) === section;
      if (inside) head = i + 1;
      isExample = false;
    }
    const comment = isComment(words) ? trim(words.replace(/^[#;]+/, "")) : null;
    // What stands below a header that is a comment belongs to it as soon as somebody takes the # away.
    isExample ||= comment !== null && comment.startsWith("[") && comment.endsWith("]");
    if (!inside || isExample) return;
    if (words !== "") end = i + 1;
    if (comment?.startsWith(key) && /^\s*[=:]/.test(comment.slice(key.length))) found.push(i + 1);
  });
  return [...found.reverse(), end, head].filter((at) => at >= 0);
}

/// Writes a key that the section does not have yet. `reads` tells of the parsed result whether it says what was meant.
function add(file, section, key, texts, reads) {
  const before = file.lines;
  for (const at of places(file, section, key)) {
    file.lines = [...before];
    insert(file, at, texts);
    if (reads(parse(file.lines))) return true;
  }
  file.lines = [...before];
  if (section === TOP) return false;
  insert(file, file.lines.length, ["", `[${section}]`, ...texts]);
  return reads(parse(file.lines));
}

/// Takes a key out of a section, as often as it stands there; comments stay.
function remove(file, section, key) {
  const gone = new Set();
  for (const entry of parse(file.lines).entries) {
    if (entry.section !== section || entry.key !== key) continue;
    for (const { line } of [entry, ...further(entry)]) gone.add(line);
  }
  file.lines = file.lines.filter((_, i) => !gone.has(i));
}

/// Gives a key these values, none of which has a line end; no values take it out. False when the file is so broken
/// that they would not be read: then it is as it was.
function set(file, section, key, plural, wanted) {
  const before = file.lines;
  const others = (parsed) => JSON.stringify(parsed.entries.filter((e) => e.section !== section || e.key !== key)
    .map((e) => [e.section, e.key, valueText(e)]));
  const rest = others(parse(before));
  const reads = (parsed) => {
    // A line that goes on with the one above, or is ignored with it, must not change what it belongs to.
    if (others(parsed) !== rest) return false;
    const entry = parsed.entries.findLast((e) => e.section === section && e.key === key);
    if (wanted.length === 0) return !entry;
    const found = entry && (plural === "one" ? [valueText(entry)] : values(entry, plural).map((v) => v.text));
    return found && [...found].sort().join("\n") === [...wanted].sort().join("\n");
  };
  file.lines = [...before];
  const entry = parse(file.lines).entries.findLast((e) => e.section === section && e.key === key);
  let done;
  if (wanted.length === 0) {
    remove(file, section, key);
    done = reads(parse(file.lines));
  } else if (entry) {
    if (plural === "lines") setLines(file, entry, wanted);
    else setLine(file, entry, wanted.join(", "));
    done = reads(parse(file.lines));
  } else {
    const texts = plural === "lines" && wanted.length > 1
      ? [`${key} =`, ...wanted.map((value) => `    ${value}`)] : [`${key} = ${wanted.join(", ")}`];
    done = add(file, section, key, texts, reads);
  }
  if (!done) file.lines = before;
  return Boolean(done);
}

/// Puts a value behind the delimiter of its key; further lines of the old one go.
function setLine(file, entry, value) {
  const line = file.lines[entry.line].text;
  const rest = line.slice(entry.behind);
  const gap = rest.slice(0, rest.length - trimStart(rest).length);
  change(file, entry.line, line.slice(0, entry.behind) + (trim(rest) === "" ? " " : gap) + value);
  const gone = new Set(further(entry).map((v) => v.line));
  file.lines = file.lines.filter((_, i) => !gone.has(i));
}

/// Takes out the lines that are not wanted any more and puts the new ones behind the rest.
function setLines(file, entry, wanted) {
  const old = values(entry, "lines");
  const fresh = wanted.filter((value) => !old.some((v) => v.text === value));
  const gone = new Set(old.filter((v) => !wanted.includes(v.text)).map((v) => v.line));
  const last = entry.value[entry.value.length - 1].line;
  insert(file, last + 1, fresh.map((value) => " ".repeat(entry.indent + 4) + value));
  if (gone.has(entry.line)) {
    change(file, entry.line, file.lines[entry.line].text.slice(0, entry.behind));
    gone.delete(entry.line);
  }
  file.lines = file.lines.filter((_, i) => !gone.has(i));
}

/// Takes out a section of a user: its header and its keys.
function removeSection(file, section) {
  const parsed = parse(file.lines);
  const gone = new Set(parsed.headers.filter((h) => h.section === section).map((h) => h.line));
  for (const entry of parsed.entries.filter((e) => e.section === section)) {
    for (const { line } of [entry, ...further(entry)]) gone.add(line);
  }
  file.lines = file.lines.filter((_, i) => !gone.has(i));
}
