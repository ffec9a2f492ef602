//! `GANTRY_FUZZ=<target> fuzz …`: one target under libFuzzer, whose arguments follow. `run` builds and starts it.
#![no_main]

use std::sync::LazyLock;

use gantry_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("GANTRY_FUZZ").expect("GANTRY_FUZZ names a target");
    Target::find(&name).unwrap_or_else(|| panic!("there is no target {name}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.read)(bytes));
