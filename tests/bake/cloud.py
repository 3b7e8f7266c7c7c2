"""What the double of EC2 holds, as JSON: the images that were made, with whom they are shared, the instances that still run."""

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
shared = {
    image["ImageId"]: [
        permission.get("UserId", "all")
        for permission in ec2.describe_image_attribute(ImageId=image["ImageId"], Attribute="launchPermission")["LaunchPermissions"]
    ]
    for image in images
}
json.dump({"images": images, "running": len(running), "shared": shared}, sys.stdout, default=str)
