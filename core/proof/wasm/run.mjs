// Runs the wasm module that is named, and prints what the host's program prints.
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
const { bits, name, name_len, memory } = instance.exports;
for (let scene = 0; name(scene) !== 0; scene++) {
    const text = Buffer.from(memory.buffer, name(scene), name_len(scene)).toString();
    console.log(text, BigInt.asUintN(64, bits(scene)).toString(16).padStart(16, "0"));
}
