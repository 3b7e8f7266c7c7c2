"""What the double of EC2 holds, as JSON: the images that were made, and the instances that still run."""

import json
import sys

import boto3

ec2 = boto3.client("ec2", endpoint_url=sys.argv[1], region_name="us-east-1")
images = ec2.describe_images(Filters=[{"Name": "name", "Values": [sys.argv[2] + "*"]}])["Images"]
running = ec2.describe_instances(
    Filters=[
        {"Name": "tag:Name", "Values": ["Packer: " + sys.argv[2]]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
)["Reservations"]
json.dump({"images": images, "running": len(running)}, sys.stdout, default=str)
