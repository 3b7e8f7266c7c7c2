#!/bin/bash
export STACK_NAME=web
export AUTOSCALING_GROUP=Instances
export ECS_CLUSTER=production
export PROXY_URL=http://proxy.internal:3128
export AWS_DEFAULT_REGION=us-east-1
/opt/firstrun.sh
/opt/aws/bin/cfn-signal -e $? --stack web --resource Instances --region us-east-1
