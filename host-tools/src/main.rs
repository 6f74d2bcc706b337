//! `genpack-host`: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    genpack_host::cli::main(std::env::args_os())
}
