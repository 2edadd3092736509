#!/bin/bash
# As both Kafka images: KAFKA_SOME_NAME becomes some.name of the broker's configuration.
set -euo pipefail
export KAFKA_LOG_DIRS=${KAFKA_LOG_DIRS:-/var/lib/kafka/data}
config=/tmp/server.properties
: >"$config"
for variable in ${!KAFKA_*}; do
  case $variable in KAFKA_HEAP_OPTS | KAFKA_OPTS) continue ;; esac
  name=${variable#KAFKA_} name=${name,,}
  echo "${name//_/.}=${!variable}" >>"$config"
done
export CLASSPATH='/jars/*'
if [[ -n ${KAFKA_PROCESS_ROLES:-} ]]; then
  java -Xmx128m kafka.tools.StorageTool format --ignore-formatted -t 5L6g3nShT-eMCtK--X86sw -c "$config"
fi
# shellcheck disable=SC2086 # several options
exec java ${KAFKA_HEAP_OPTS:-} -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dlog4j.configuration=file:/log4j.properties kafka.Kafka "$config"
