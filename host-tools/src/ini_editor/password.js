// A hash of a password for crypt(5), method 6 (SHA-512), with 5000 rounds: what `openssl passwd -6` prints. The
// algorithm is that of Ulrich Drepper's public domain text "Unix crypt using SHA-256 and SHA-512", version 0.6.

const CRYPT64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The first `length` bytes of `bytes`, again and again.
const repeated = (bytes, length) => Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length]);

async function hashPassword(password, salt) {
  const digest = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-512", joined(parts)));
  const key = new TextEncoder().encode(password), grain = new TextEncoder().encode(salt);
  const both = await digest(key, grain, key);
  const parts = [key, grain, repeated(both, key.length)];
  for (let n = key.length; n > 0; n >>= 1) parts.push(n & 1 ? both : key);
  let hash = await digest(...parts);
  const p = repeated(await digest(...Array(key.length).fill(key)), key.length);
  const s = repeated(await digest(...Array(16 + hash[0]).fill(grain)), grain.length);
  for (let round = 0; round < 5000; round++) {
    const odd = round & 1;
    hash = await digest(odd ? p : hash, round % 3 ? s : [], round % 7 ? p : [], odd ? hash : p);
  }
  let text = `$6$${salt}$`;
  const put = (bits, digits) => {
    for (; digits > 0; digits--, bits >>= 6) text += CRYPT64[bits & 63];
  };
  for (let i = 0, a = 0, b = 21, c = 42; i < 21; i++, [a, b, c] = [b + 1, c + 1, a + 1]) {
    put((hash[a] << 16) | (hash[b] << 8) | hash[c], 4);
  }
  put(hash[63], 2);
  return text;
}

const freshSalt = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => CRYPT64[byte & 63]).join("");
