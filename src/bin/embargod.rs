//! The server and its operator's commands.

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let options = embargod::demo::rehearsal::Options {
        exit: true,
        port: 8080,
        keep: std::env::args().nth(1).map(Into::into),
        ..Default::default()
    };
    std::process::exit(runtime.block_on(embargod::demo::rehearsal::run(options)));
}
