// SPDX-License-Identifier: Apache-2.0
// Compiles the reusable verifier that ezkl generated (build/Halo2VerifierReusable.sol) and refuses any other source or
// code than the one that verifier.lock.json pins: it decides about money, so it must not change unnoticed.
//
// usage: node tools/compile-verifier.mjs [--update-lock]
//   --update-lock  pin what is there now; only after reading the difference
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import sha3 from "js-sha3";
import solc from "solc-verifier";

const NAME = "Halo2VerifierReusable";
const MAX_RUNTIME_BYTES = 24576;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sourcePath = join(root, "build", `${NAME}.sol`);
const lockPath = join(root, "verifier.lock.json");

function fail(message) {
  console.error(`compile-verifier: ${message}`);
  process.exit(1);
}

function read(path, hint) {
  try {
    return readFileSync(path);
  } catch (error) {
    return fail(`cannot read ${path} (${error.code}): ${hint}`);
  }
}

function compile(source) {
  const input = {
    language: "Solidity",
    sources: { [`${NAME}.sol`]: { content: source.toString("utf8") } },
    settings: {
      // One run: the deployed code must stay small. The newer pipeline (viaIR) reorders memory that this assembly
      // addresses absolutely.
      optimizer: { enabled: true, runs: 1 },
      evmVersion: "shanghai",
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { [NAME]: ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((entry) => entry.severity === "error");
  if (errors.length > 0) fail(`solc ${solc.version()}: ${errors.map((e) => e.formattedMessage).join("\n")}`);
  const contract = output.contracts[`${NAME}.sol`][NAME];
  return {
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    runtime: `0x${contract.evm.deployedBytecode.object}`,
  };
}

const source = read(sourcePath, "the circuits package writes it; run `make setup`");
const update = process.argv.includes("--update-lock");
const sourceSha256 = createHash("sha256").update(source).digest("hex");
const lock = update ? null : JSON.parse(read(lockPath, "it belongs to the repository"));
if (!update && lock.sourceSha256 !== sourceSha256) {
  fail(`the generated verifier is not the pinned one: SHA-256 is ${sourceSha256}, verifier.lock.json says ` +
    `${lock.sourceSha256}. Another version of ezkl? Review the source, then run again with --update-lock.`);
}

const artifact = compile(source);
const runtime = Buffer.from(artifact.runtime.slice(2), "hex");
if (runtime.length > MAX_RUNTIME_BYTES) fail(`the code has ${runtime.length} bytes, over ${MAX_RUNTIME_BYTES}`);
const runtimeKeccak256 = `0x${sha3.keccak256(runtime)}`;
const pins = { compiler: solc.version(), sourceSha256, runtimeKeccak256, runtimeBytes: runtime.length };
if (update) {
  writeFileSync(lockPath, `${JSON.stringify(pins, null, 2)}\n`);
} else {
  for (const [key, value] of Object.entries(pins)) {
    if (lock[key] !== value) fail(`${key} is ${value}, verifier.lock.json says ${lock[key]}`);
  }
}
writeFileSync(join(root, "build", `${NAME}.json`), `${JSON.stringify(artifact)}\n`);
console.log(`${NAME}: ${runtime.length} bytes, ${runtimeKeccak256}`);
