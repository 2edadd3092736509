package devstack

// mavenCentral is where the binaries of zonky.io are published.
const mavenCentral = "https://repo1.maven.org/maven2"
