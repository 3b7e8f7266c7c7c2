//! The CloudWatch agent's double of the virtual machines: it does what the real agent was seen to do.

use std::process::Command;

use crate::support::{repository, skip};

/// The modules that the double needs, and that not every Python has.
const NEEDS: &str = "import tomllib, yaml";

#[test]
fn does_what_the_real_agent_does() {
    if !Command::new("python3").args(["-c", NEEDS]).output().is_ok_and(|output| output.status.success()) {
        skip("the CloudWatch agent's double: python3 from 3.11 on and its yaml are missing");
        return;
    }
    let mut python = Command::new("python3");
    python.args(["-B", "-W", "ignore", "-m", "unittest", "discover", "-p", "*_test.py", "-s"]);
    let output = python.arg(repository("tests/e2e/cloudwatch_agent")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Ran 0 tests"), "{said}");
}
