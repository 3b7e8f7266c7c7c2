"""The double of EC2: moto, beside which an image has the volumes that CreateImage documents.

Those are the volumes of the instance, but for what the request's own mappings leave out (`NoDevice`), and what these add.
"""

import sys

from moto.ec2.models.amis import Ami
from moto.ec2.responses.amis import AmisResponse
from moto.server import main

create_image, by_moto = AmisResponse.create_image, Ami.block_device_mappings


def with_volumes(self):
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    volumes = {mapping["DeviceName"] for mapping in instance.block_device_mappings}
    for mapping in self._get_param("BlockDeviceMappings", []):
        change = volumes.discard if "NoDevice" in mapping else volumes.add
        change(mapping["DeviceName"])
    created = create_image(self)
    self.ec2_backend.amis[created.result["ImageId"]].volumes = sorted(volumes)
    return created


def mappings(self):
    first = by_moto.fget(self)[0]
    return [{**first, "DeviceName": name} for name in getattr(self, "volumes", [first["DeviceName"]])]


AmisResponse.create_image, Ami.block_device_mappings = with_volumes, property(mappings)
main(sys.argv[1:])
