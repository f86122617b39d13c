//! What tests may expect of an [`AwsEmulator`].

use std::net::TcpStream;

use test_servers::{AwsEmulator, AwsEmulatorKind};

#[test]
fn each_emulator_starts_stops_and_comes_back_on_its_port() {
    for kind in [AwsEmulatorKind::Ministack, AwsEmulatorKind::Moto] {
        let mut emulator = AwsEmulator::start(kind).unwrap();
        let port = emulator.port();
        assert_eq!(emulator.url(), format!("http://127.0.0.1:{port}"));
        emulator.kill().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        emulator.restart().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        drop(emulator);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
