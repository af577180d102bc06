//! The tasks of the repository.

mod data;

fn main() -> anyhow::Result<()> {
    data::run(&std::env::args().skip(2).collect::<Vec<_>>())
}
