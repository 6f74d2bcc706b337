// Reads a JSON array of documents and prints one line for each: what the reference implementation of JSON5 makes of
// it, written so that two values are the same exactly when their lines are.
const JSON5 = require('json5')

// It warns of U+2028 and U+2029 in strings.
console.warn = () => {}

// Rust's strings hold no half of a surrogate pair; there our reader has U+FFFD, and warns.
const units = (s) => {
  const whole = s.replace(/\p{Surrogate}/gu, '\uFFFD')
  return Array.from({ length: whole.length }, (_, i) => whole.charCodeAt(i).toString(16).padStart(4, '0')).join('')
}

const double = (n) => {
  if (Number.isNaN(n)) return 'nan'
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, n)
  return view.getBigUint64(0).toString(16).padStart(16, '0')
}

const dump = (v) => {
  if (v === null || typeof v === 'boolean') return String(v)
  if (typeof v === 'number') return '#' + double(v)
  if (typeof v === 'string') return '"' + units(v)
  if (Array.isArray(v)) return '[' + v.map(dump).join() + ']'
  const members = new Map(Object.entries(v).map(([key, value]) => [units(key), dump(value)]))
  return '{' + [...members].map(([key, value]) => key + ':' + value).sort().join() + '}'
}

const documents = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const lines = documents.map((text) => {
  try {
    return dump(JSON5.parse(text))
  } catch (e) {
    if (e instanceof SyntaxError) return 'error'
    throw e
  }
})
process.stdout.write(lines.join('\n') + '\n')
