// Runs the page's scripts, which stand above, on cases from stdin and prints what they say.
const cases = JSON.parse(require("fs").readFileSync(0));

function read(numbers) {
  const bytes = Uint8Array.from(numbers), file = decode(bytes), found = new Map();
  for (const entry of parse(file.lines).entries) found.set(JSON.stringify([entry.section, entry.key]), valueText(entry));
  const back = encode(file);
  return { values: [...found].map(([name, value]) => [...JSON.parse(name), value]), same: Buffer.from(bytes).equals(Buffer.from(back)) };
}

function edit([numbers, section, key, plural, wanted]) {
  const file = decode(Uint8Array.from(numbers));
  const done = set(file, section, key, plural, wanted);
  return { done, bytes: [...encode(file)] };
}

function straightened(numbers) {
  const file = decode(Uint8Array.from(numbers));
  straighten(file, (section) => cases.keys[section]);
  return [...encode(file)];
}

(async () => {
  const hashes = [];
  for (const [password, salt] of cases.hash) hashes.push(await hashPassword(password, salt));
  console.log(JSON.stringify({
    judge: cases.judge.map(([rule, value]) => judge(rule, value)),
    read: cases.read.map(read), edit: cases.edit.map(edit), straighten: cases.straighten.map(straightened), hash: hashes,
  }));
})();
