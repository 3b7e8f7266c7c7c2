//! Finishes an Amazon ECS container instance at first boot.
