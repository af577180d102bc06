//! The tasks of the repository: `cargo xtask TASK`. It runs programs and reads files; it links no tensors.

mod data;

fn main() -> anyhow::Result<()> {
    data::run(&std::env::args().skip(2).collect::<Vec<_>>())
}
