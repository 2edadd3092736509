#!/bin/bash
# As the image cp-zookeeper.
set -euo pipefail
cat >/tmp/zookeeper.properties <<END
clientPort=$ZOOKEEPER_CLIENT_PORT
tickTime=$ZOOKEEPER_TICK_TIME
dataDir=/var/lib/zookeeper/data
dataLogDir=/var/lib/zookeeper/log
admin.enableServer=false
END
exec java -Xmx128m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dlog4j.configuration=file:/log4j.properties -cp '/jars/*' \
  org.apache.zookeeper.server.quorum.QuorumPeerMain /tmp/zookeeper.properties
