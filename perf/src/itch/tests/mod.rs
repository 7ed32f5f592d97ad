//! Tests of the ITCH workload. Expected bytes, offsets and books are written out by hand, so none
//! of them is computed by the code under test.

mod audit;
mod book;
mod decode;
mod frame;
mod generate;
