// The form: one field for every key of the table, and what opens and saves the file.

const TABLE = JSON.parse(document.getElementById("table").textContent);
const FILE_NAME = "system.ini";
const $ = (id) => document.getElementById(id);
const isDefault = (name) => name === TOP || name === FALLBACK;

/// Everything that belongs to the file that is open.
let open = null;

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const groupOf = (section) =>
  TABLE.groups.find((g) => (g.section.endsWith(".") ? section.startsWith(g.section) && section !== g.section : g.section === section));
const keysOf = (section) => groupOf(section)?.keys;

const SHORT = { ip: "IP", ip6: "IPv6", dns: "DNS", dns6: "DNS (IPv6)", ssh: "SSH", wifi: "Wi-Fi", ntp: "Time servers (NTP)",
  ssid: "name (SSID)", wpa3: "WPA3", sae: "SAE", pwe: "PWE", mdns: "mDNS", llmnr: "LLMNR", pubkey: "public keys", sshd: "SSH",
  ips: "IPs", rw: "writable", addressfamily: "address family", swapfile: "swap file", hostname: "Host name", key: "password", locale: "Language", keymap: "Keyboard layout",
  timezone: "Time zone", autologin: "Log in by itself", sudo: "May become root", privkey: "private key", mask: "Never start" };

function titleOf(name) {
  const text = name.split("_").map((word) => SHORT[word] ?? word).join(" ");
  return text[0].toUpperCase() + text.slice(1);
}

// ----- fields -----

/// Fields of the form. Each has `section`, `key`, `before` (values in the file) and `read()` (values in the form).
let fields = [];

function valuesIn(parsed, section, key) {
  const entry = entryOf(parsed, section, key.name);
  if (!entry) return { list: [], inherited: false };
  const list = key.plural === "one" ? [valueText(entry)].filter((v) => v !== "") : values(entry, key.plural).map((v) => v.text);
  return { list, inherited: entry.section !== section };
}

const shown = (key, list) => (key.plural === "lines" ? list.join("\n") : list.join(", ").replaceAll("\n", " "));

function split(key, text) {
  const parts = key.plural === "one" ? [text] : key.plural === "lines" ? text.split("\n") : text.split(/[,\s]+/);
  return parts.map(trim).filter((part) => part !== "");
}

const isChanged = (field) => {
  const now = field.read();
  return shown(field.key, now) !== field.start && now.join("\n") !== field.before.join("\n");
};

/// What is wrong with the values of a field, or null.
function wrong(field) {
  const list = isChanged(field) ? field.read() : field.before;
  for (const value of list) {
    const why = judge(field.key.rule, value);
    if (why) return why[0].toUpperCase() + why.slice(1) + ".";
  }
  return null;
}

function makeField(section, key, parsed) {
  const { list, inherited } = valuesIn(parsed, section, key);
  // Each other character as its number: the hooks a.b and a_b are two.
  const id = `f-${section}-${key.name}`.replace(/[^a-zA-Z0-9-]/g, (c) => `_${c.charCodeAt(0)}_`);
  const field = { section, key, before: inherited ? [] : list, start: inherited ? "" : shown(key, list) };
  const placeholder = inherited ? `${shown(key, list)} (from [${FALLBACK}])` : key.default ? `not set: ${key.default}` : "not set";
  const changed = () => refresh(field);
  const choices = CHECKS[key.rule.word].words;
  const isFlag = key.rule.word === "yes or no";
  let control, extra = null;
  if (isFlag) {
    const known = field.before.length === 1 && BOOLEANS.includes(lower(field.before[0]));
    field.start = known ? (isTrue(field.before[0]) ? "yes" : "no") : field.start;
    const start = field.start;
    const options = [["", key.default ? `Not set (${key.default})` : "Not set"], ["yes", "Yes"], ["no", "No"]];
    if (start !== "" && !known) options.push([start, start]);
    control = h("div", { class: "choice", role: "radiogroup", "aria-labelledby": `${id}-title`, id },
      ...options.map(([value, text]) => h("label", {},
        h("input", { type: "radio", name: id, value, checked: value === start, onchange: changed }), h("span", {}, text))));
    field.read = () => split(key, control.querySelector("input:checked")?.value ?? "");
    field.write = (text) => control.querySelectorAll("input").forEach((input) => (input.checked = input.value === text));
  } else if (choices) {
    const start = choices.includes(lower(field.start)) ? lower(field.start) : field.start;
    const options = choices.includes(start) || start === "" ? choices : [start, ...choices];
    field.start = start;
    control = h("select", { id, onchange: changed },
      h("option", { value: "" }, key.default ? `Not set (${key.default})` : "Not set"),
      ...options.map((value) => h("option", { value, selected: value === start }, value)));
    field.read = () => split(key, control.value);
    field.write = (text) => (control.value = text);
  } else {
    const common = { id, spellcheck: "false", autocapitalize: "off", autocomplete: "off", autocorrect: "off", placeholder, oninput: changed };
    if (key.plural === "lines") {
      control = h("textarea", { ...common, rows: Math.min(6, Math.max(2, field.before.length + 1)), wrap: "off" });
    } else {
      const type = key.rule.secret ? "password" : "text";
      const numeric = key.rule.word.startsWith("a number") ? "numeric" : undefined;
      control = h("input", { ...common, type, inputmode: numeric, list: LISTS[key.rule.word] ? `list-${key.name}` : undefined });
    }
    control.value = field.start;
    field.read = () => split(key, control.value);
    field.write = (text) => (control.value = text);
    extra = extras(field, control);
  }
  field.control = control;
  control.setAttribute("aria-describedby", `${id}-help ${id}-wrong`);
  const plural = key.plural === "list" ? " Several are separated by commas." : "";
  const example = isFlag || choices || key.rule.word === "a password hash" ? "" : h("p", { class: "example" }, "For example ", h("code", {}, key.example));
  field.message = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: true });
  field.undo = h("button", { type: "button", class: "link undo", hidden: true, onclick: () => { field.write(field.start); refresh(field); } }, "Undo");
  field.element = h("div", { class: "field", "data-key": key.name, "data-section": section },
    h("div", { class: "head" }, h(isFlag ? "span" : "label", isFlag ? { id: `${id}-title`, class: "title" } : { for: id, class: "title" }, key.title ?? titleOf(key.name)),
      h("code", {}, key.name), field.undo),
    h("p", { class: "help", id: `${id}-help` }, key.help + plural),
    h("div", { class: "row" }, control, ...(extra ?? [])), example, field.message);
  if (LISTS[key.rule.word]) field.element.append(h("datalist", { id: `list-${key.name}` }, ...LISTS[key.rule.word]().map((value) => h("option", { value }))));
  field.text = `${key.name} ${titleOf(key.name)} ${key.help} ${section}`.toLowerCase();
  fields.push(field);
  return field;
}

/// What may be chosen beside typing.
const LISTS = {
  "a zone name": () => Intl.supportedValuesOf?.("timeZone") ?? [],
  "yes, no or an operational state": () => ["yes", "no", "routable", "degraded", "carrier"],
};

/// Buttons beside an input.
function extras(field, control) {
  const button = (text, onclick, more = {}) => h("button", { type: "button", class: "small", onclick, ...more }, text);
  const found = [];
  if (field.key.rule.secret) {
    found.push(button("Show", (event) => {
      const isHidden = control.type === "password";
      control.type = isHidden ? "text" : "password";
      event.target.textContent = isHidden ? "Hide" : "Show";
    }, { "aria-label": `Show ${field.key.name}` }));
  }
  if (field.key.rule.word === "a zone name") {
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (here) found.push(button(`As here: ${here}`, () => { control.value = here; refresh(field); }));
  }
  if (field.key.rule.word === "a password hash" && globalThis.crypto?.subtle) found.push(passwordMaker(field, control));
  if (field.key.rule.word === "a public key") {
    const pick = h("input", { type: "file", accept: ".pub,text/plain", hidden: true, onchange: async () => {
      const text = await pick.files[0]?.text();
      if (text) control.value = [...split(field.key, control.value), ...split(field.key, text)].join("\n");
      pick.value = "";
      refresh(field);
    } });
    found.push(pick, button("Add from a .pub file", () => pick.click()));
  }
  return found;
}

/// The file has no password but its hash: the owner types the one and gets the other.
function passwordMaker(field, control) {
  const typed = h("input", { type: "password", autocomplete: "new-password", placeholder: "new password", "aria-label": "New password" });
  const make = async () => {
    if (typed.value === "") return;
    control.value = await hashPassword(typed.value, freshSalt());
    typed.value = "";
    details.open = false;
    refresh(field);
  };
  typed.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), make()));
  const details = h("details", { class: "maker" }, h("summary", {}, "Choose a password"),
    h("div", { class: "row" }, typed, h("button", { type: "button", class: "small", onclick: make }, "Use it")));
  return details;
}

/// Shows what is new about a field, and about all of them.
function refresh(field) {
  const why = wrong(field);
  const list = field.read();
  const warning = why ?? (list.length ? doubt(field.key.rule, list[0]) : null);
  field.message.textContent = warning ?? "";
  field.message.hidden = !warning;
  field.message.classList.toggle("doubt", !why && Boolean(warning));
  field.control.setAttribute("aria-invalid", String(Boolean(why)));
  field.element.classList.toggle("changed", isChanged(field));
  field.undo.hidden = !isChanged(field);
  summarize();
}

// ----- what belongs together -----

/// Findings about several values.
function together() {
  const list = (name) => fields.find((f) => f.section === TOP && f.key.name === name)?.read() ?? [];
  const found = [];
  const bits = (ip) => ip.split(".").reduce((sum, n) => sum * 256 + Number(n), 0);
  const networks = list("ip_address").map((text) => text.split("/")).filter(([ip, size]) => v4(ip) && /^[0-9]+$/.test(size) && Number(size) <= 32);
  if (networks.length && !list("ip_address").some((a) => lower(a) === "dhcp")) {
    for (const router of list("ip_gateway").filter(v4)) {
      const near = ([ip, size]) => Math.floor(bits(ip) / 2 ** (32 - size)) === Math.floor(bits(router) / 2 ** (32 - size));
      if (!networks.some(near)) {
        found.push(`The router ${router} is in none of the networks of ip_address, so nothing reaches it.`);
      }
    }
  }
  const unit = (name) => (UNITS.includes(name.split(".").pop()) && name.includes(".") ? name : `${name}.service`);
  const off = [...list("disable"), ...list("mask")].map(unit);
  for (const name of list("enable").map(unit).filter((name) => off.includes(name))) {
    found.push(`${name} is in enable and in disable or mask, too, which is stronger.`);
  }
  if (list("wifi_key").length && !list("wifi_ssid").length) found.push("There is a Wi-Fi password, but no name of a Wi-Fi network.");
  return found;
}

function summarize() {
  const count = fields.filter(isChanged).length + open.added.length + open.removed.length + open.repairs;
  const bad = fields.filter((f) => isChanged(f) && wrong(f));
  $("save").disabled = count === 0;
  $("count").textContent = count === 0 ? (open.saved ? "Saved." : "Nothing changed yet.") : count === 1 ? "1 change, not saved yet." : `${count} changes, not saved yet.`;
  if (count) open.saved = false;
  $("mistakes").textContent = bad.length === 0 ? "" : bad.length === 1 ? "1 value cannot be used." : `${bad.length} values cannot be used.`;
  const notes = together();
  $("together").hidden = notes.length === 0;
  $("together").replaceChildren(...notes.map((note) => h("p", {}, note)));
  if ($("preview").open) preview();
}

// ----- the form -----

function topicCard(id, title, help, list, parsed, section, more = []) {
  const made = list.map((key) => makeField(section, key, parsed));
  const isShown = (f) => f.key.common || f.before.length > 0 || !list.some((key) => key.common);
  const first = made.filter(isShown), rest = made.filter((f) => !isShown(f));
  return h("section", { class: "card", id }, h("h2", {}, title), help ? h("p", { class: "about" }, help) : null,
    ...first.map((f) => f.element),
    rest.length ? h("details", { class: "more" }, h("summary", {}, `${rest.length} more: ${rest.map((f) => titleOf(f.key.name)).join(", ")}`), ...rest.map((f) => f.element)) : null,
    ...more);
}

function build() {
  const parsed = parse(open.file.lines);
  fields = [];
  const cards = [], links = [];
  const put = (card, name) => {
    cards.push(card);
    links.push(h("a", { href: `#${card.id}` }, name));
  };
  const top = TABLE.groups.find((g) => g.section === TOP);
  for (const topic of TABLE.topics) {
    const list = top.keys.filter((key) => key.topic === topic);
    put(topicCard(`t-${links.length}`, topic, "", list, parsed, TOP), topic);
  }
  put(usersCard(parsed), "Users");
  const special = TABLE.groups.filter((g) => g.section !== TOP && !g.section.endsWith("."));
  for (const group of special) {
    const isHooks = group.section === "hooks";
    const hooks = isHooks ? hookKeys(parsed) : [];
    const card = topicCard(`s-${group.section}`, `[${group.section}]`, group.help, [...group.keys, ...hooks], parsed, group.section, isHooks ? [hookAdder()] : []);
    if (!parsed.headers.some((header) => header.section === group.section)) {
      const inner = h("details", { class: "more" }, h("summary", {}, "Show its settings"), ...[...card.children].slice(2));
      card.append(inner);
    }
    put(card, `[${group.section}]`);
  }
  $("cards").replaceChildren(...cards);
  $("nav").replaceChildren(...links);
  leftovers(parsed);
  fields.forEach(refresh);
  search();
}

const hookKey = (name) => ({ ...TABLE.hook, name, title: name });

function hookKeys(parsed) {
  const own = keysOf("hooks").map((key) => key.name);
  const names = parsed.entries.filter((e) => e.section === "hooks" && !own.includes(e.key)).map((e) => e.key);
  return [...new Set([...names, ...open.hooks])].map(hookKey);
}

function adder(placeholder, text, rule, add) {
  const input = h("input", { type: "text", placeholder, "aria-label": text, spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  const message = h("p", { class: "wrong", role: "alert", hidden: true });
  const go = () => {
    const name = trim(input.value);
    const why = name === "" ? "a name is missing" : judge(rule, name) ?? add(name);
    message.textContent = why ? why[0].toUpperCase() + why.slice(1) + "." : "";
    message.hidden = !why;
    if (!why) input.value = "";
  };
  input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), go()));
  return h("div", { class: "adder" }, h("div", { class: "row" }, input, h("button", { type: "button", class: "small", onclick: go }, text)), message);
}

function hookAdder() {
  const self = adder("name of a hook", "Switch a hook off", TABLE.hookName, (name) => {
    if (fields.some((f) => f.section === "hooks" && f.key.name === lower(name))) return "it is there already";
    open.hooks.push(lower(name));
    const field = makeField("hooks", hookKey(lower(name)), parse(open.file.lines));
    self.before(field.element);
    field.write("no");
    refresh(field);
    return null;
  });
  return self;
}

function userCard(section, parsed) {
  const name = section.slice("user.".length);
  const card = h("div", { class: "user", "data-user": name }, h("div", { class: "head" }, h("h3", {}, name),
    h("button", { type: "button", class: "link", onclick: () => {
      fields = fields.filter((f) => f.section !== section);
      if (open.added.includes(section)) open.added = open.added.filter((s) => s !== section);
      else open.removed.push(section);
      card.remove();
      summarize();
    } }, "Remove this user")), ...keysOf(section).map((key) => makeField(section, key, parsed).element));
  return card;
}

function usersCard(parsed) {
  const group = TABLE.groups.find((g) => g.section === "user.");
  const names = [...new Set([...parsed.headers.map((header) => header.section), ...open.added])]
    .filter((s) => groupOf(s) === group && !open.removed.includes(s));
  const self = adder("name, such as bob", "Add a user", TABLE.account, (name) => {
    const section = `user.${name}`;
    if (name === "root") return "root is there already: its settings are under Logging in";
    if (fields.some((f) => f.section === section)) return "this user is there already";
    if (open.removed.includes(section)) open.removed = open.removed.filter((s) => s !== section);
    else open.added.push(section);
    const card = userCard(section, parse(open.file.lines));
    self.before(card);
    fields.filter((f) => f.section === section).forEach(refresh);
    summarize();
    card.querySelector("input, textarea").focus();
    return null;
  });
  return h("section", { class: "card", id: "users" }, h("h2", {}, "Users"), h("p", { class: "about" }, group.help),
    ...names.map((name) => userCard(name, parsed)), self);
}

/// Lines that no field stands for: mistakes, and what belongs to others.
function leftovers(parsed) {
  const rows = [];
  for (const line of parsed.ignored) {
    rows.push(h("li", {}, `Line ${line + 1} says nothing to the machine and is left alone: `, h("code", {}, excerpt(trim(open.file.lines[line].text)))));
  }
  for (const entry of parsed.entries) {
    const known = keysOf(isDefault(entry.section) ? TOP : entry.section);
    if (!known || entry.section === "hooks" || known.some((key) => key.name === entry.key)) continue;
    const near = nearest(known, entry.key);
    const free = near && !entryOf(parsed, entry.section, near);
    rows.push(h("li", {}, `Line ${entry.line + 1}: the machine knows no key `, h("code", {}, excerpt(entry.key)), ". ",
      free ? h("button", { type: "button", class: "small", onclick: () => rename(entry, near) }, `Call it ${near}`) : "It is left alone."));
  }
  const strangers = [...new Set(parsed.headers.map((header) => header.section))].filter((s) => !groupOf(s) && s !== FALLBACK);
  if (strangers.length) rows.push(h("li", {}, `Left alone, because they belong to an add-on: ${strangers.map((s) => `[${excerpt(s)}]`).join(", ")}`));
  if (open.straightened) rows.push(h("li", {}, "Lines that were indented below others are moved to the left edge when you save."));
  if (open.file.lines.some((line) => line.text.includes("\ufffd"))) rows.push(h("li", {}, "Some characters of this file cannot be read here. Their lines stay as they are unless you change them."));
  $("notes").hidden = rows.length === 0;
  $("notes-list").replaceChildren(...rows);
}

function rename(entry, name) {
  const line = open.file.lines[entry.line].text;
  change(open.file, entry.line, line.slice(0, entry.indent) + name + line.slice(entry.indent + entry.key.length));
  open.repairs++;
  const kept = fields.filter(isChanged).map((f) => [f, f.read()]);
  build();
  for (const [old, list] of kept) {
    const field = fields.find((f) => f.section === old.section && f.key.name === old.key.name);
    if (field) (field.write(shown(field.key, list)), refresh(field));
  }
}

/// The known name that a misspelt one is nearest to (optimal string alignment), as genpack-init asks.
function nearest(known, name) {
  const word = name.replace(/[-. ]/g, "_");
  const other = TABLE.otherWords[word];
  if (other && known.some((key) => key.name === other)) return other;
  let near = Math.min(3, Math.max(1, Math.floor(word.length / 3))), found = null;
  for (const key of known) {
    const distance = editDistance(word, key.name);
    if (distance < near || (distance === near && !found)) [near, found] = [distance, key.name];
  }
  return found;
}

function editDistance(a, b) {
  const rows = [Array.from({ length: a.length + 1 }, (_, i) => i)];
  for (let j = 1; j <= b.length; j++) {
    rows.push([j]);
    for (let i = 1; i <= a.length; i++) {
      let best = Math.min(rows[j - 1][i] + 1, rows[j][i - 1] + 1, rows[j - 1][i - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, rows[j - 2][i - 2] + 1);
      rows[j].push(best);
    }
  }
  return rows[b.length][a.length];
}

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const card of $("cards").children) {
    const own = fields.filter((f) => card.contains(f.element));
    const title = card.querySelector("h2").textContent.toLowerCase();
    let hits = 0;
    for (const f of own) {
      const hit = words.every((word) => f.text.includes(word) || title.includes(word));
      f.element.hidden = !hit;
      hits += hit ? 1 : 0;
    }
    card.hidden = words.length > 0 && hits === 0;
    any ||= !card.hidden;
    for (const details of card.querySelectorAll("details.more")) {
      if (words.length && details.dataset.was === undefined) details.dataset.was = String(details.open);
      if (words.length) details.open = true;
      else if (details.dataset.was !== undefined) {
        details.open = details.dataset.was === "true";
        delete details.dataset.was;
      }
    }
  }
  $("nothing").hidden = any;
}

// ----- opening and saving -----

function openBytes(name, bytes, handle = null) {
  if (bytes.length > MAX_BYTES) return fail(`${name} is larger than any ${FILE_NAME} that the machine reads. Is it another file?`);
  const file = decode(bytes);
  if (file.lines.some((line) => line.text.includes("\0"))) return fail(`${name} is no text. The settings are in the file ${FILE_NAME}.`);
  const straightened = straighten(file, keysOf);
  open = { name, handle, file, added: [], removed: [], hooks: [], repairs: 0, saved: false, straightened };
  $("start").hidden = true;
  $("editor").hidden = false;
  $("problem").hidden = true;
  $("name").textContent = name;
  $("after").hidden = true;
  build();
  window.scrollTo(0, 0);
  return true;
}

function fail(text) {
  $("problem").textContent = text;
  $("problem").hidden = false;
  $("problem").scrollIntoView({ block: "center" });
  return false;
}

/// The file with everything that the form says.
function edited() {
  const file = { ...open.file, lines: [...open.file.lines] };
  const lost = [];
  for (const section of open.removed) removeSection(file, section);
  for (const section of open.added) {
    if (!fields.some((f) => f.section === section && isChanged(f))) insert(file, file.lines.length, ["", `[${section}]`]);
  }
  for (const field of fields.filter(isChanged)) {
    if (!set(file, field.section, field.key.name, field.key.plural, field.read())) lost.push(field);
  }
  return { file, lost };
}

function preview() {
  const { file } = edited();
  // Lines of secrets, and whether each begins with its key.
  const hidden = new Map();
  for (const entry of parse(file.lines).entries) {
    const key = keysOf(isDefault(entry.section) ? TOP : entry.section)?.find((key) => key.name === entry.key);
    if (key?.rule.secret) entry.value.forEach((v, i) => v.text !== "" && hidden.set(v.line, i === 0));
  }
  const text = (line, i) => !hidden.has(i) ? line.text
    : hidden.get(i) ? line.text.replace(/([=:\uff1d\uff1a]\s*).*/, "$1(not shown)") : "    (not shown)";
  $("text").textContent = file.lines.map(text).join("\n");
}

async function save() {
  const bad = fields.find((f) => isChanged(f) && wrong(f));
  if (bad) {
    for (let d = bad.element.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    $("search").value = "";
    search();
    bad.element.scrollIntoView({ block: "center" });
    bad.control.focus({ preventScroll: true });
    return;
  }
  const { file, lost } = edited();
  if (lost.length) return fail(`${lost.map((f) => f.key.name).join(", ")} cannot be put into this file: repair the lines named below "Lines without a field" first.`);
  const bytes = encode(file);
  try {
    await writeBack(bytes);
  } catch (error) {
    return fail(`The file could not be written: ${error.message}. Is the card still in, and is it not write-protected?`);
  }
  const isInPlace = Boolean(open.handle);
  openBytes(open.name, bytes, open.handle);
  open.saved = true;
  $("count").textContent = "Saved.";
  $("after").textContent = isInPlace
    ? "Saved. Eject the card safely, put it back and start the machine."
    : `Your browser has put ${FILE_NAME} where downloads go. Move it onto the card, over the old one, then eject the card safely.`;
  $("after").hidden = false;
}

/// Writes into the file that was opened, where the browser can; else or when the owner said no it is a download.
async function writeBack(bytes) {
  if (open.handle) {
    if (open.handle.requestPermission && (await open.handle.requestPermission({ mode: "readwrite" })) !== "granted") open.handle = null;
    else {
      const stream = await open.handle.createWritable();
      await stream.write(bytes);
      await stream.close();
      return;
    }
  }
  const link = h("a", { href: URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" })), download: FILE_NAME });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const mayLeave = () => !open || $("save").disabled || confirm("There are changes that are not saved. Go on without them?");

async function choose() {
  if (!mayLeave()) return;
  if (window.showOpenFilePicker) {
    try {
      const [handle] = await showOpenFilePicker({ id: "genpack", types: [{ description: FILE_NAME, accept: { "text/plain": [".ini", ".txt"] } }] });
      const file = await handle.getFile();
      return openBytes(file.name, new Uint8Array(await file.arrayBuffer()), handle);
    } catch (error) {
      if (error.name === "AbortError") return;
    }
  }
  $("file").click();
}

async function openFile(file, handle = null) {
  if (file) openBytes(file.name, new Uint8Array(await file.arrayBuffer()), handle);
}

for (const button of document.querySelectorAll(".open")) button.addEventListener("click", choose);
$("file").addEventListener("change", async () => {
  await openFile($("file").files[0]);
  $("file").value = "";
});
$("empty").addEventListener("click", () => openBytes(FILE_NAME, new TextEncoder().encode(TABLE.template)));
$("save").addEventListener("click", save);
$("search").addEventListener("input", search);
$("preview").addEventListener("toggle", () => open && $("preview").open && preview());
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const item = event.dataTransfer.items[0], file = event.dataTransfer.files[0];
  // The handle must be asked for before anything is awaited.
  const pending = item?.getAsFileSystemHandle?.().catch(() => null);
  if (!mayLeave()) return;
  const handle = await pending;
  await openFile(file, handle?.kind === "file" ? handle : null);
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s" && open) (event.preventDefault(), save());
});
addEventListener("beforeunload", (event) => {
  if (open && !$("save").disabled) event.preventDefault();
});
