//! The signals that tell this process to stop, and its signs of life for systemd's watchdog.

/// Hears when the process is told to stop: at a shutdown, by systemctl, or at the keyboard. What comes while nobody waits
/// for it is heard afterwards.
pub(super) struct Stop {
    signals: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Stop {
    pub(super) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let both = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let signals = if let (Ok(terminate), Ok(interrupt)) = both { Some([terminate, interrupt]) } else { None };
        Stop { signals }
    }

    /// Waits for a future. Returns none if the process is told to stop first; a future that is ready wins.
    pub(super) async fn unless_told<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = self.told() => None,
        }
    }

    async fn told(&mut self) {
        let Some([terminate, interrupt]) = &mut self.signals else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Tells systemd's watchdog, where there is one, that this process is not stuck.
pub(super) async fn keep_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        tokio::time::sleep(limit / 2).await;
    }
}
