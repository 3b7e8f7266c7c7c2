//! The command lines of the stubs for disks.

/// The options of the agent's calls that are followed by a value.
const WITH_VALUE: [&str; 3] = ["-o", "-L", "-E"];

/// A command line of the agent: options with their values, and the rest.
pub(super) struct Args<'a> {
    options: Vec<(&'a str, &'a str)>,
    pub(super) operands: Vec<&'a str>,
}

impl<'a> Args<'a> {
    pub(super) fn parse(args: &'a [String]) -> Self {
        let (mut options, mut operands) = (Vec::new(), Vec::new());
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => options.push((name, value)),
                _ if WITH_VALUE.contains(&arg) => options.push((arg, args.next().unwrap_or_default())),
                _ if arg.starts_with('-') => options.push((arg, "")),
                _ => operands.push(arg),
            }
        }
        Self { options, operands }
    }

    pub(super) fn value(&self, option: &str) -> Option<&'a str> {
        self.options.iter().find(|(name, _)| *name == option).map(|(_, value)| *value)
    }

    /// Returns the device or directory that the program is for.
    pub(super) fn operand(&self) -> &'a str {
        self.operands.first().copied().unwrap_or_default()
    }
}
