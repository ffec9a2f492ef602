//! `gantryd`: every service of Gantry in one file, one subcommand each.

fn main() {}
