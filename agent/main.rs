//! `ecs-firstrun`: starts the process, and ends it with the exit code; the library does the rest.

use std::process::ExitCode;

use anyhow::Context as _;
use ecs_firstrun::{cli, run, streams};

fn main() -> ExitCode {
    #[cfg(feature = "rehearse")]
    if let Some(code) = {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        ecs_firstrun::rehearse::programs::main_if_stub(&name, arguments)
    } {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    run::print_panics_without_values();
    let line = cli::parse(std::env::args_os().collect());
    // One thread: what is awaited is the network and other programs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("start the runtime").and_then(|runtime| runtime.block_on(cli::execute(line)));
    result.unwrap_or_else(|error| {
        streams::eprint(&format!("error: {error:#}\n"));
        ExitCode::from(run::Ending::Refused.code())
    })
}

/// Takes the place of glibc's function, which std asks for the bounds of a stack. It tells nothing, so that a stack that
/// overflows ends the process without std's words about that. glibc's own reads a file of the kernel with sscanf(3), which
/// nothing else needs: without both the binary is 0.08 MB smaller.
#[cfg(target_feature = "crt-static")]
mod bounds_of_stacks {
    use nix::libc::{ENOSYS, c_int, pthread_attr_t, pthread_t};

    #[expect(unsafe_code, reason = "the name and the arguments are those of pthread_getattr_np(3)")]
    #[unsafe(no_mangle)]
    extern "C" fn pthread_getattr_np(_: pthread_t, _: *mut pthread_attr_t) -> c_int {
        ENOSYS
    }
}
