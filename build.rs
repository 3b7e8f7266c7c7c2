//! Packs the JSON Schema for the binary, which has it for the command `schema` alone: a sixth of its size.

#![allow(clippy::disallowed_methods, reason = "the build writes into cargo's own folder")]

use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

const SCHEMA: &str = "examples/schema.json";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let folder = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    io::copy(&mut fs::File::open(SCHEMA)?, &mut packed)?;
    fs::write(Path::new(&folder).join("schema.json.gz"), packed.finish()?)
}
