"""Prints the endpoints of the given services by botocore's rules: in each region, with each variant."""

import json
import sys

from botocore.endpoint_provider import EndpointProvider
from botocore.session import get_session

loader = get_session().get_component("data_loader")
partitions = loader.load_data("partitions")
endpoints = []
for service in sys.argv[1:]:
    rules = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
    for partition in partitions["partitions"]:
        # A region such as aws-global stands for the partition.
        for region in (name for name in partition["regions"] if not name.endswith("-global")):
            for fips in (False, True):
                for dual_stack in (False, True):
                    found = rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack)
                    endpoints.append(
                        {
                            "service": service,
                            "region": region,
                            "domain": partition["outputs"]["dnsSuffix"],
                            "fips": fips,
                            "dual_stack": dual_stack,
                            "url": found.url,
                        }
                    )
json.dump(endpoints, sys.stdout)
