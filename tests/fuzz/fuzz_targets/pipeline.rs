//! Random pipelines, chosen by what their runs have covered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringmill_fuzz::case::Case;
use ringmill_fuzz::check;

fuzz_target!(|bytes: &[u8]| {
    check(&Case::decode(bytes));
});
