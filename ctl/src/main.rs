//! `gantry`: the tool of operators.

fn main() {}
